"""The one browser of all acceptance tests: two would need two event loops in one thread."""

from browser_world import browser

__all__ = ["browser"]
