"""The tables of docs/benchmarks.md are those of the results beside it."""

from __future__ import annotations

import json

import pytest

from tests.benchmarks import tables


def test_the_document_agrees_with_the_results() -> None:
    document = tables.DOCUMENT.read_text()
    assert tables.brought_up_to_date(document) == document


@pytest.mark.parametrize("path", sorted(tables.RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_result_has_its_place_in_the_document(path) -> None:  # type: ignore[no-untyped-def]
    assert f"<!-- {path.stem} -->" in tables.DOCUMENT.read_text()
    assert json.loads(path.read_text())["machine"]["commit"]


def test_a_table_replaces_the_one_before_and_leaves_the_words_alone(tmp_path) -> None:  # type: ignore[no-untyped-def]
    result = {
        "machine": {"cores": 2, "processor": "x", "commit": "abc", "date": "d"},
        "photos": 300,
        "kb_per_photo": 1.5,
        "interval": [-1.0, 4.0],
        "zero_within": True,
        "first_mb": 800.0,
        "last_mb": 801.0,
    }
    (tmp_path / "memory.json").write_text(json.dumps(result))
    before = "# Title\n<!-- memory -->\nold\n<!-- end of memory -->\nwords\n"
    once = tables.brought_up_to_date(before, tmp_path)
    assert "| growth per photo, kB | 1.5 |" in once
    assert "old" not in once
    assert once.startswith("# Title\n")
    assert once.endswith("<!-- end of memory -->\nwords\n")
    assert tables.brought_up_to_date(once, tmp_path) == once


def test_a_busy_machine_is_told() -> None:
    machine = {"cores": 2, "processor": "x", "commit": "abc", "date": "d"}
    result = {"gpu": "G", "machine": machine | {"busy_with_other_work": True}}
    assert "busy with other work" in tables.told("gpu", result)
