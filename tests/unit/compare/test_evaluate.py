"""Figures of the comparison: how photos are labelled, and what the card shows of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models_runtime.compare.evaluate import (
    FOLDER,
    NAME,
    TABLE_HEAD,
    over_draws,
    stations_mean,
    with_table,
    write,
)
from models_runtime.compare.sets import rows_of, station_checks

CARD = f"# Card\n\n{TABLE_HEAD}| not measured yet | | | | | | |\n\nAfter.\n"


def figures(auroc: float) -> dict[str, float]:
    return {
        "auroc": auroc,
        "by_hand": 0.6,
        "escape_rate": 0.1,
        "overkill_rate": 0.2,
        "photos": 12.0,
    }


def test_the_card_shows_the_figures_on_record_of_the_network_that_ships() -> None:
    recorded: dict[str, Any] = json.loads((FOLDER / f"{NAME}.metrics.json").read_text())
    card = (FOLDER / f"{NAME}.md").read_text()
    assert with_table(card, recorded["figures"]) == card
    shipped = json.loads((FOLDER / "loupe_vlm.metrics.json").read_text())
    assert recorded["network"] == shipped["model"]


def test_draws_are_told_with_their_spread() -> None:
    told = over_draws([figures(0.8), figures(0.9)])
    assert (told["auroc"], told["auroc_low"], told["auroc_high"]) == (0.85, 0.8, 0.9)
    assert told["draws"] == 2


def test_the_mean_of_the_stations_is_of_stations_alone() -> None:
    told = {
        "toys": figures(0.1),
        "stations, check 1": figures(0.7),
        "stations, check 2": figures(1),
    }
    assert stations_mean(told)["auroc"] == 0.85


def test_writing_fills_the_table_of_the_card_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.md").write_text(CARD)
    write(tmp_path / f"{NAME}.metrics.json", {"figures": {"toys": over_draws([figures(0.9)])}})
    card = (tmp_path / f"{NAME}.md").read_text()
    assert "| toys | 0.900 | 0.900 to 0.900 | 0.600 | 0.10 | 0.20 | 12 |" in card
    assert "not measured" not in card
    assert card.endswith("\n\nAfter.\n")


def test_a_card_without_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no table"):
        with_table("# Card\n", {})


def test_solar_cells_are_bad_by_their_mask_and_others_by_their_label(tmp_path: Path) -> None:
    for name, text in {
        "solar": "image,values,split\na.png,0 4,train\nb.png,0 2,val\n",
        "toys": "image,label,split\na.png,normal,train\nb.png,anomaly,val\n",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "labels.csv").write_text(text)
        assert [(row.bad, row.split) for row in rows_of(tmp_path, name)] == [
            (False, "train"),
            (True, "val"),
        ]


def test_a_station_photo_is_bad_if_any_record_says_so(tmp_path: Path) -> None:
    records = [
        {"Detection_Content": "cap", "image": "a.png", "Anomaly_Label": label, "split": "val"}
        for label in (0, 1, 0)
    ]
    (tmp_path / "stations").mkdir()
    (tmp_path / "stations" / "records.json").write_text(json.dumps(records))
    ((row,),) = station_checks(tmp_path).values()
    assert row.bad
