"""Pages on paper: what reports say, drawn as PDF. Only workers import what is in here."""
