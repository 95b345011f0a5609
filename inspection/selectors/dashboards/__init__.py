"""Reads of the dashboards: counts by day of one site, within dates and filters."""
