"""``inspect --earlier PHOTO``: what is new, what was there, and what has been fixed since."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

from models_runtime.cli.main import main
from models_runtime.schema import inspection_schema

PLAN = {
    "name": "Lids",
    "description": "Plastic lids",
    "defects": [{"key": "hole", "name": "Hole", "severity": "major"}],
}
HOLE = (20, 30, 60, 70)


@pytest.fixture(autouse=True)
def memory_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("VLM", "SAM", "SLM", "MLM", "LLM", "LAM"):
        monkeypatch.setenv(f"LOUPE_{kind}", "memory:")


def lid(path: Path, hole: tuple[int, int, int, int] | None, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(195, 255, (150, 200, 3)).astype(np.uint8)
    if hole:
        x1, y1, x2, y2 = hole
        pixels[y1:y2, x1:x2] = 0
    Image.fromarray(pixels).save(path)
    return path


def inspect(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, photo: Path, earlier: Path
) -> tuple[int, dict, str]:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(PLAN))
    code = main(["inspect", str(photo), "--plan", str(plan), "--earlier", str(earlier)])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else {}, err


def test_findings_tell_their_history(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    holed, sound = lid(tmp_path / "holed.png", HOLE, 1), lid(tmp_path / "sound.png", None, 2)
    again = lid(tmp_path / "again.png", HOLE, 3)
    _, new, _ = inspect(capsys, tmp_path, holed, sound)
    _, old, _ = inspect(capsys, tmp_path, again, holed)
    _, fixed, _ = inspect(capsys, tmp_path, sound, holed)
    for record in (new, old, fixed):
        jsonschema.validate(record, inspection_schema())
    told = [[f["history"] for f in record["findings"]] for record in (new, old, fixed)]
    assert told == [["new"], ["pre_existing"], ["fixed"]]
    assert old["findings"][0]["earlier_id"]
    assert old["earlier"]["path"].endswith("holed.png")
    assert old["earlier"]["likeness"] > 0.8
    assert old["earlier"]["changed_share"] == 0
    assert "compare" in [step["step"] for step in fixed["steps"]]


def test_what_is_fixed_does_not_count_against_the_unit(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    holed, sound = lid(tmp_path / "holed.png", HOLE, 1), lid(tmp_path / "sound.png", None, 2)
    _, record, _ = inspect(capsys, tmp_path, sound, holed)
    assert record["disposition"] == "accept"


def test_without_an_earlier_photo_nothing_is_said_of_history(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(PLAN))
    main(["inspect", str(lid(tmp_path / "a.png", HOLE, 1)), "--plan", str(plan)])
    record = json.loads(capsys.readouterr().out)
    assert record["earlier"] is None
    assert [f["history"] for f in record["findings"]] == [None]


def test_a_photo_of_something_else_is_told_and_hinders_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = tmp_path / "other.png"
    coarse = np.random.default_rng(5).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    Image.fromarray(coarse).resize((200, 150), Image.Resampling.BICUBIC).save(other)
    code, record, _ = inspect(capsys, tmp_path, lid(tmp_path / "a.png", HOLE, 1), other)
    assert code == 0
    assert record["earlier"]["likeness"] is None
    assert [f["history"] for f in record["findings"]] == [None]


def test_an_earlier_photo_that_can_not_be_used_stops_the_call(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    photo = lid(tmp_path / "a.png", HOLE, 1)
    broken, tiny = tmp_path / "broken.jpg", tmp_path / "tiny.png"
    broken.write_bytes(b"no photo")
    Image.new("RGB", (1, 1)).save(tiny)
    for earlier, words in (
        (tmp_path / "missing.png", "is not a file"),
        (broken, "broken.jpg"),
        (tiny, "needs 16 px each way"),
    ):
        code, record, err = inspect(capsys, tmp_path, photo, earlier)
        assert (code, record) == (2, {})
        assert words in err


def test_a_photo_too_small_to_compare_is_inspected_all_the_same(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    tiny = tmp_path / "tiny.png"
    Image.new("RGB", (8, 8), (250, 250, 250)).save(tiny)
    code, record, _ = inspect(capsys, tmp_path, tiny, lid(tmp_path / "a.png", HOLE, 1))
    assert code == 0
    assert record["earlier"]["likeness"] is None
