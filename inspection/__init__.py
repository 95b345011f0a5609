"""Loupe's Django project and app."""
