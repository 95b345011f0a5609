"""Webhooks by the Standard Webhooks specification (standardwebhooks.com)."""
