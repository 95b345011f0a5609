"""``inspect --golden DIR``: what differs from sound photos becomes a finding."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

from models_runtime.cli.main import main
from models_runtime.contracts import Comparison, Extraction
from models_runtime.schema import inspection_schema
from models_runtime.whole import combined_probability


@pytest.fixture(autouse=True)
def memory_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("VLM", "SAM", "SLM", "MLM", "LLM", "LAM"):
        monkeypatch.setenv(f"LOUPE_{kind}", "memory:")


def stripes(path: Path, seed: int, blot: bool = False) -> Path:
    rng = np.random.default_rng(seed)
    pixels = np.full((160, 200, 3), 150, np.int16)
    pixels[:, ::20] = 110
    if blot:
        pixels[60:90, 120:160] = (190, 80, 80)
    pixels = pixels + rng.normal(0, 5, pixels.shape).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


def inspect(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, *photos: Path
) -> tuple[int, list[dict], str]:
    plan = tmp_path / "plan.json"
    plan.write_text('{"name": "Cloth"}')
    call = ["inspect", *map(str, photos), "--plan", str(plan), "--golden", str(tmp_path / "golden")]
    code = main(call)
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


def test_blot_is_a_finding_even_without_a_defect_catalogue(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for seed in range(6):
        stripes(tmp_path / "golden" / f"{seed}.png", seed)
    bad = stripes(tmp_path / "bad.png", 50, blot=True)
    good = stripes(tmp_path / "good.png", 51)
    code, (blotted, sound), err = inspect(capsys, tmp_path, bad, good)
    assert (code, err) == (0, "")
    for record in (blotted, sound):
        jsonschema.validate(record, inspection_schema())
        assert "compare" in [step["step"] for step in record["steps"]]
    finding = blotted["findings"][0]
    assert (finding["type"], finding["source"]) == ("deviation", "golden")
    assert finding["box"]["x1"] < 140 < finding["box"]["x2"]
    assert blotted["disposition"] != "accept"
    assert blotted["defect_probability"] > sound["defect_probability"]
    assert sound["findings"] == []


def test_folder_without_enough_photos_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    photo = stripes(tmp_path / "a.png", 1)
    code, _, err = inspect(capsys, tmp_path, photo)
    assert code == 2
    assert "is not a folder" in err
    stripes(tmp_path / "golden" / "1.png", 1)
    (tmp_path / "golden" / "2.jpg").write_bytes(b"")
    code, _, err = inspect(capsys, tmp_path, photo)
    assert code == 2
    assert "2.jpg is left out" in err
    assert "give at least 3" in err


def extraction(probability: float, in_domain: float, abstained: bool = False) -> Extraction:
    return Extraction(
        attributes=(),
        defects=(),
        defect_probability=probability,
        in_domain=in_domain,
        confidence=0.5,
        abstained=abstained,
    )


def golden(probability: float) -> Comparison:
    return Comparison(probability, np.zeros((2, 2), np.float32))


def test_both_witnesses_are_heard_by_their_weight() -> None:
    assert combined_probability(extraction(0.3, 1.0), None) == 0.3
    assert combined_probability(extraction(0.9, 1.0), golden(0.1)) == pytest.approx(0.5)
    assert combined_probability(extraction(0.9, 0.0), golden(0.1)) == pytest.approx(0.1)
    unsure = extraction(0.9, 1.0, abstained=True)
    assert combined_probability(unsure, golden(0.1)) == pytest.approx(0.1)
    assert 0.9 <= combined_probability(extraction(0.9, 1.0), golden(0.95)) <= 0.95
