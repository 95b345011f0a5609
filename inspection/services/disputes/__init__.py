"""Disputes: a link for the inspected party, their statement and photos, and the answer."""
