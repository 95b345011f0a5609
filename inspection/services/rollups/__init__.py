"""Counts by day, made again for the days on which something changed."""

from inspection.services.rollups.counting import count_marked, count_when_rested, mark_everything

__all__ = ["count_marked", "count_when_rested", "mark_everything"]
