"""The card of the risk dial shows the figures on record, and they are of the shipped weights."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from models_runtime.risk.evaluate import NAME, Units, drawn_row, realised_row, with_tables
from models_runtime.vlm import weights

RECORDED: dict[str, Any] = json.loads((weights.FOLDER / f"{NAME}.metrics.json").read_text())


def test_the_card_shows_the_figures_on_record() -> None:
    card = (weights.FOLDER / f"{NAME}.md").read_text()
    assert with_tables(card, RECORDED["realised"], RECORDED["drawn"]) == card


def test_the_figures_are_of_the_weights_that_ship() -> None:
    shipped = weights.load(weights.FOLDER / f"{weights.NAME}.safetensors")
    assert RECORDED["model"] == f"loupe-vlm-{shipped.version}"


def test_no_realised_rate_is_over_the_stated_one_beyond_chance() -> None:
    for row in RECORDED["realised"]:
        assert row["escape_rate"]["low"] <= row["largest_escape"]
    for row in RECORDED["drawn"]:
        assert row["broken"]["low"] <= 1 - RECORDED["confidence"]


def test_a_card_without_tables_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks a table"):
        with_tables("# A card\n", [], [])


def units(count: int, escapes: int) -> Units:
    rng = np.random.default_rng(count)
    wrong = np.zeros(count, bool)
    wrong[:escapes] = True
    return Units(np.where(wrong, 0.9, rng.random(count) / 2)[:, None], wrong, 0)


def test_a_row_tells_what_thresholds_do_on_the_other_split() -> None:
    row = realised_row("solar", 0.05, units(300, 30), units(100, 10))
    assert (row["passed"], row["escaped"], row["within"]) == (90, 0, "yes")
    assert row["pass_share"] == {"mean": 0.9, "low": 0.8238, "high": 0.951, "n": 100}
    few = realised_row("solar", 0.01, units(30, 3), units(100, 10))
    assert (few["passed"], few["within"], few["escape_rate"]["mean"]) == (0, "nothing passes", None)


def test_draws_are_made_with_the_share_of_defective_units_asked_for() -> None:
    pool = units(200, 100)
    assert drawn_row(pool, 0.02, 0.05, 300)["pass_share"]["mean"] > 0.97
    assert drawn_row(pool, 0.6, 0.05, 300)["pass_share"]["mean"] == pytest.approx(0.4, abs=0.05)
