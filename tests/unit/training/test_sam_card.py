"""The tables of Loupe-SAM's card are made from its metrics, and say which bars are missed."""

from __future__ import annotations

import json

import pytest

from models_runtime.training.sam_card import BARS, HEADS, with_tables
from models_runtime.training.sam_eval import METRICS

CARD = METRICS.with_name("loupe_sam.md")


def test_the_shipped_card_agrees_with_the_shipped_metrics() -> None:
    told = json.loads(METRICS.read_text())
    assert with_tables(CARD.read_text(), told) == CARD.read_text()


def test_other_figures_make_another_card() -> None:
    told = json.loads(METRICS.read_text())
    told["together"]["box"]["mean"] = BARS["box"] - 0.1
    card = with_tables(CARD.read_text(), told)
    assert card != CARD.read_text()
    assert "missed by 0.10" in card


def test_a_card_without_the_tables_is_refused() -> None:
    told = json.loads(METRICS.read_text())
    with pytest.raises(ValueError, match="no table headed"):
        with_tables(HEADS[0] + "x\n\n", told)
