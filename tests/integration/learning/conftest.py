"""Fixtures of these tests."""

from __future__ import annotations

import pytest
from learning_world import Judged, eyes  # noqa: F401
from pipeline_world import World, make_member, world  # noqa: F401

from inspection.models import Membership
from inspection.models.choices import Role


@pytest.fixture
def manager(world: World) -> Membership:  # noqa: F811
    return make_member(world.site, Role.MANAGER)


@pytest.fixture
def judged(world: World) -> Judged:  # noqa: F811
    return Judged(world.plan, make_member(world.site, Role.REVIEWER))
