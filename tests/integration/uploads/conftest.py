"""Fixtures of these tests."""

from pipeline_world import world  # noqa: F401
