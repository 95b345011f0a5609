"""Imports: annotations of other programs as findings of this site."""
