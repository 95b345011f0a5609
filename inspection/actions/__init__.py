"""What follows a verdict: action plans, tickets, and their deliveries to the outside."""
