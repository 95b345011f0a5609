"""Fixtures of these tests."""

from __future__ import annotations

from typing import Any

import pytest
from screen_world import Screens, make_screens

from inspection.services import reviews
from inspection.services.disputes import photos


@pytest.fixture
def screens(db: None, monkeypatch: pytest.MonkeyPatch) -> Screens:
    """A site with one of everything; no broker hears of decisions."""
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)
    return make_screens()


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos are read as soon as they are sent."""

    def read(photo_id: Any) -> bool:
        photos.read_photo(photo_id)
        return True

    monkeypatch.setattr(photos, "wake", read)
