"""The test session's own Postgres and Valkey."""

from __future__ import annotations

import os

import pytest
from django.conf import settings
from django.db import connection

pytestmark = pytest.mark.integration


@pytest.mark.django_db
def test_tests_run_on_the_embedded_postgres_of_this_session():
    with connection.cursor() as cursor:
        cursor.execute("SHOW unix_socket_directories")
        (directory,) = cursor.fetchone()
        cursor.execute("SELECT current_database(), '[1,2]'::vector <-> '[1,4]'::vector")
        name, distance = cursor.fetchone()
    assert directory == settings.DATABASES["default"]["HOST"]
    assert name.startswith("test_")
    assert distance == 2


def test_the_broker_of_this_session_answers(valkey_server):
    assert valkey_server.healthy()
    assert str(valkey_server.socket) in settings.CELERY_BROKER


def test_tests_never_write_into_the_state_of_the_developer():
    assert "loupe-test-" in os.environ["LOUPE_STATE"]
    assert str(settings.STATE_DIR) == os.environ["LOUPE_STATE"]
