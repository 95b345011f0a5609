"""Fixtures of these tests."""

import pytest
from screen_world import screens  # noqa: F401

from inspection.services.reports import asking


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No message goes to a broker: tests do what a worker would."""
    monkeypatch.setattr(asking.app, "send_task", lambda *a, **k: None)
