"""When a delivery is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.actions.webhook.schedule import (
    JITTER,
    LONGEST_WISH,
    PAUSES,
    next_pause,
    retry_after,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
shares = st.floats(0, 1)
wishes = st.none() | st.floats(0, 1e9)


def test_the_schedule_is_the_one_of_the_specification():
    hours = 3600
    assert (
        0, 5, 300, 1800, 2 * hours, 5 * hours, 10 * hours, 14 * hours, 20 * hours, 24 * hours,
    ) == PAUSES  # fmt: skip


@given(st.integers(0, len(PAUSES) - 1), shares)
def test_a_pause_is_never_shorter_than_scheduled_and_at_most_the_jitter_longer(attempts, share):
    pause = next_pause(attempts, None, lambda: share)
    assert pause is not None
    assert PAUSES[attempts] <= pause.total_seconds() <= PAUSES[attempts] * (1 + JITTER) + 1e-6


@given(st.integers(0, len(PAUSES) - 2), shares, shares)
def test_pauses_grow_whatever_the_jitter(attempts, one, other):
    earlier = next_pause(attempts, None, lambda: one)
    later = next_pause(attempts + 1, None, lambda: other)
    assert earlier is not None
    assert later is not None
    assert earlier < later


@given(st.integers(0, len(PAUSES) - 1), wishes, shares)
def test_a_receiver_can_lengthen_a_pause_up_to_a_day_and_never_shorten_it(attempts, wish, share):
    plain = next_pause(attempts, None, lambda: share)
    wished = next_pause(attempts, wish, lambda: share)
    assert plain is not None
    assert wished is not None
    assert wished >= plain
    assert wished >= timedelta(seconds=min(wish or 0, LONGEST_WISH))
    assert wished <= max(plain, timedelta(seconds=LONGEST_WISH))


@given(st.integers(len(PAUSES), 1000), wishes)
def test_after_the_last_attempt_it_is_given_up(attempts, wish):
    assert next_pause(attempts, wish) is None


@given(st.integers(0, 10**9))
def test_retry_after_in_seconds_is_read(seconds):
    assert retry_after(f" {seconds} ", NOW) == seconds


@given(st.integers(-(10**6), 10**6))
def test_retry_after_as_a_date_is_read_and_the_past_means_now(seconds):
    header = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after(header, NOW) == max(0, seconds)


@pytest.mark.parametrize("header", [None, "", "soon", "-5", "1.5", "٣", "1e9", "Mon, 99 Foo"])
def test_a_retry_after_that_says_nothing_is_left_out(header):
    assert retry_after(header, NOW) is None


@given(st.text())
def test_no_retry_after_breaks_the_delivery(header):
    wish = retry_after(header, NOW)
    assert wish is None or wish >= 0
