"""LLM: reports. Whoever writes, each claim is checked against the evidence before it stands."""
