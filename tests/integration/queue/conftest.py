"""Fixtures of these tests."""

from screen_world import screens  # noqa: F401
