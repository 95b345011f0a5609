"""The demo: plans and drawn sample photos for a first start."""
