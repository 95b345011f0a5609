"""Fixtures that every tier may use; the embedded servers come from the plugin in pyproject.toml."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.conf import settings

PROJECT = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    # Pages are tested without `collectstatic`, so without its manifest and files.
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    settings.STORAGES["staticfiles"] = {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
    }


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, postgres_server: object
) -> None:
    """Start Postgres when the first test wants the database."""


@pytest.fixture(scope="session")
def photo_data() -> Path:
    """Return the directory of labelled photos; tests with it carry the marker `data`."""
    folder = Path(os.environ.get("LOUPE_DATA") or PROJECT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no photos in {folder}: set LOUPE_DATA to try this")
    return folder
