"""LAM: from verdict and playbook to a typed graph of allowed actions."""
