"""How figures are written on the pages."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from inspection.templatetags import loupe


@pytest.mark.parametrize(
    ("value", "words"), [(None, ""), (3.14159, "3.1 ms"), (412.7, "413 ms"), (2310, "2.3 s")]
)
def test_durations_have_the_unit_people_would_use(value: float | None, words: str) -> None:
    assert loupe.milliseconds(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(0, "–"), (4, "< 0.001 ¢"), (1234, "0.123 ¢"), (2_500_000, "$ 2.50")]
)
def test_small_costs_can_be_told_apart(value: int, words: str) -> None:
    assert loupe.microusd(value) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [(None, ""), (0.0, "0 %"), (0.0005, "0.05 %"), (0.0125, "1.25 %"), (0.02, "2 %"), (1, "100 %")],
)
def test_small_shares_keep_their_digits(share: float | None, words: str) -> None:
    assert loupe.fine_percent(share) == words


def test_a_bar_never_leaves_its_frame() -> None:
    assert [loupe.share_of_hundred(share) for share in (-1, 0.5, 7, None)] == [
        "0.0",
        "50.0",
        "100.0",
        "0.0",
    ]


@pytest.mark.parametrize(
    ("mm", "px", "words"),
    [
        (12.4, 31.0, "12.4 mm long"),
        (None, 1031.4, "1 031 px long"),
        (None, None, ""),
    ],
)
def test_length_has_the_unit_the_plan_knows(mm, px, words: str) -> None:
    assert loupe.extent(SimpleNamespace(length_mm=mm, length_px=px)) == words
