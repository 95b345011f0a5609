"""Loupe's model runtime: typed contracts, engines, cascades and calibration, without Django."""
