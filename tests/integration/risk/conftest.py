"""Fixtures of these tests."""

from __future__ import annotations

import pytest
from pipeline_world import world  # noqa: F401
from risk_world import Units
from screen_world import Screens, screens  # noqa: F401


@pytest.fixture
def units(screens: Screens) -> Units:  # noqa: F811
    """Units of the plan of the screens."""
    return Units(screens.plan, screens.memberships["reviewer"])
