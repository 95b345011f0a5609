"""Exports: units of a site as a data set that other programs read."""
