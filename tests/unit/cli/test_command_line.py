"""``python -m models_runtime`` as a stranger would use it, on the in-memory engines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from models_runtime import memory
from models_runtime.cli import inspecting
from models_runtime.cli.main import main
from models_runtime.cli.photo_paths import expand
from models_runtime.errors import FatalError, TransientError
from models_runtime.schema import inspection_schema, plan_schema

PROJECT = Path(__file__).parents[3]
PLAN = {
    "name": "Lids",
    "characteristics": [{"key": "colour", "options": ["silver", "gold"]}],
    "defects": [{"key": "hole", "name": "open hole", "severity": "critical"}],
    "mm_per_px": 0.5,
    "playbook": [{"destination": "webhook"}],
}


@pytest.fixture(autouse=True)
def memory_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("VLM", "SAM", "SLM", "MLM", "LLM", "LAM"):
        monkeypatch.setenv(f"LOUPE_{kind}", "memory:")


@pytest.fixture
def plan(tmp_path: Path) -> str:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(PLAN))
    return str(path)


def make_photo(path: Path, black: bool = True, mode: str = "RGB") -> Path:
    rng = np.random.default_rng(len(path.name))
    pixels = rng.integers(180, 250, (80, 100, 3), dtype=np.uint8)
    if black:
        pixels[10:40, 20:60] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict], str]:
    """Run a command; return exit code, the JSON lines of stdout (each checked), and stderr."""
    code = main(arguments)
    out, err = capsys.readouterr()
    records = [json.loads(line) for line in out.splitlines()]
    for record in records:
        jsonschema.validate(record, inspection_schema())
    return code, records, err


def test_each_photo_gives_one_line_that_fits_the_published_schema(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, plan: str
) -> None:
    bad = make_photo(tmp_path / "bad.png")
    good = make_photo(tmp_path / "good.jpg", black=False)
    code, records, err = run(capsys, "inspect", str(bad), str(good), "--plan", plan)
    assert (code, err) == (0, "")
    assert [r["photo"]["name"] for r in records] == ["bad.png", "good.jpg"]
    (finding,) = records[0]["findings"]
    assert (finding["type"], finding["name"], finding["severity"]) == (
        "hole",
        "open hole",
        "critical",
    )
    assert coco.area(finding["mask"]) == finding["area_px"] == 1200
    assert finding["area_mm2"] == 300.0
    assert (finding["length_px"], finding["length_mm"]) == (40.0, 20.0)
    assert records[0]["disposition"] == "reject"
    assert records[0]["actions"][0]["finding_id"] == finding["id"]
    assert records[1]["disposition"] == "accept"
    assert [s["step"] for s in records[0]["steps"]] == [
        "intake", "extract", "segment", "triage", "report", "act",
    ]  # fmt: skip
    assert all(step["run_ms"] >= 0 and step["engine"] for step in records[0]["steps"])


def test_unreadable_photo_gets_an_error_line_and_the_rest_goes_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, plan: str
) -> None:
    (tmp_path / "page.jpg").write_bytes(b"%PDF-1.7 hello")
    good = make_photo(tmp_path / "good.png")
    missing = str(tmp_path / "missing.png")
    arguments = ["inspect", str(tmp_path / "page.jpg"), str(good), missing, "--plan", plan]
    code, records, _ = run(capsys, *arguments)
    assert code == 1
    assert [r["status"] for r in records] == ["error", "inspected", "error"]
    assert "Export the page as JPEG" in records[0]["error"]["message"]
    assert records[2]["photo"] == {"path": missing, "name": "missing.png"}


def test_odd_photos_are_inspected(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, plan: str
) -> None:
    for mode, suffix in (
        ("L", "png"),
        ("CMYK", "jpg"),
        ("RGBA", "png"),
        ("1", "bmp"),
        ("P", "gif"),
    ):
        make_photo(tmp_path / "odd" / f"{mode}.{suffix}", mode=mode)
    Image.new("RGB", (1, 1)).save(tmp_path / "odd" / "one.png")
    Image.new("RGB", (7000, 3), (250, 250, 250)).save(tmp_path / "odd" / "strip.png")
    code, records, _ = run(capsys, "inspect", str(tmp_path / "odd"), "--plan", plan)
    assert code == 0
    assert len(records) == 7


def test_photo_larger_than_the_working_size_has_masks_in_its_own_pixels(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, plan: str
) -> None:
    image = Image.new("L", (6000, 4000), 240)
    image.paste(0, (1000, 1000, 2000, 3000))
    image.save(tmp_path / "huge.png")
    out = tmp_path / "overlays"
    arguments = ["inspect", str(tmp_path / "huge.png"), "--plan", plan, "--out", str(out)]
    _, (record,), _ = run(capsys, *arguments)
    assert record["findings"][0]["mask"]["size"] == [4000, 6000]
    assert abs(record["findings"][0]["area_px"] - 2_000_000) < 20_000
    with Image.open(record["overlay"]) as overlay:
        assert max(overlay.size) <= 2000


def test_overlays_show_the_findings_and_do_not_overwrite_each_other(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, plan: str
) -> None:
    first = make_photo(tmp_path / "a" / "same.png")
    second = make_photo(tmp_path / "b" / "same.png", black=False)
    out = tmp_path / "new" / "folder"
    arguments = ["inspect", str(first), str(second), "--plan", plan, "--out", str(out)]
    _, records, _ = run(capsys, *arguments)
    assert len({r["overlay"] for r in records}) == 2
    with Image.open(records[0]["overlay"]) as overlay:
        pixels = np.asarray(overlay.convert("RGB")).astype(int)
    scale = 4  # small photos are enlarged at most so much
    inside = pixels[25 * scale, 40 * scale]
    assert inside.max() > 60, "the black hole is tinted"
    assert overlay.height > 80 * scale, "there is a legend below"


def test_folders_and_globs_name_their_photos_once(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "deep/c.webp", ".hidden.jpg", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    names = [p.name for p in expand([str(tmp_path), str(tmp_path / "*.jpg")])]
    assert names == ["a.PNG", "b.jpg", "c.webp"]
    assert expand([str(tmp_path / "nothing*.jpg")]) == [tmp_path / "nothing*.jpg"]
    odd = tmp_path / "weird[1].jpg"
    odd.write_bytes(b"x")
    assert expand([str(odd)]) == [odd]


def test_folder_without_photos_is_an_error_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, plan: str
) -> None:
    (tmp_path / "empty").mkdir()
    code, (record,), _ = run(capsys, "inspect", str(tmp_path / "empty"), "--plan", plan)
    assert code == 1
    assert "no photo in the folder" in record["error"]["message"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"name": "x",\n  "defects": [}', "line 2, column 15"),
        ("[]", "must be a JSON object"),
        ("{}", "name: Field required (add it)"),
        ('{"name": "x",\n "colour": 1}', "line 2, colour: Extra inputs are not permitted"),
        ('{"name": "x",\n "defects": [\n  {"key": "A B", "name": "y"}]}', "line 3, defects[0].key"),
        ('{"name": "x", "defects": [{"key": "a", "name": "y", "severity": "bad"}]}', "'major'"),
        (
            '{"name": "x", "characteristics": [{"key": "a", "options": ["b"]}]}',
            "at least two options",
        ),
        ('{"name": "x", "characteristics": [{"key": "a", "options": 5}]}', "characteristics[0]"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_wrong_plan_is_told_with_its_place_and_remedy(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    code, records, err = run(capsys, "inspect", "x.jpg", "--plan", str(path))
    assert (code, records) == (2, [])
    assert says in err
    assert "Traceback" not in err


def test_missing_plan_file_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = run(capsys, "inspect", "x.jpg", "--plan", str(tmp_path / "no.json"))
    assert code == 2
    assert "can't be read: No such file" in err


def test_plan_with_only_a_name_works(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"name": "Anything"}')
    photo = make_photo(tmp_path / "a.png")
    code, (record,), _ = run(
        capsys, "inspect", str(photo), "--plan", str(tmp_path / "plan.json"), "--note", "ünïcode"
    )
    assert code == 0
    assert record["findings"] == []
    assert record["report"] is None


def test_several_plans_are_routed_by_the_note(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, plan: str
) -> None:
    other = tmp_path / "garments.json"
    other.write_text('{"name": "Garments", "description": "shirt trousers resale"}')
    photo = make_photo(tmp_path / "a.png")
    call = ["inspect", str(photo), "--plan", plan, "--plan", str(other), "--note"]
    _, (record,), _ = run(capsys, *call, "shirt trousers resale garments")
    assert record["plan"]["name"] in ("Lids", "Garments")
    assert record["steps"][1]["step"] == "route"


def test_unknown_engine_is_told_before_any_photo(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, plan: str
) -> None:
    photo = make_photo(tmp_path / "a.png")
    call = ["inspect", str(photo), "--plan", plan, "--engine"]
    code, records, err = run(capsys, *call, "vlm=magic:")
    assert (code, records) == (2, [])
    assert "no vlm engine called 'magic'" in err
    code, _, err = run(capsys, *call, "vision")
    assert code == 2
    assert "write KIND=SETTING" in err


def test_engine_failure_on_one_photo_costs_only_that_photo(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    plan: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = memory.MemoryExtractor.extract

    def moody(self, photos, wanted):
        if any(photo.width == 50 for photo in photos):
            raise TransientError("server busy")
        if any(photo.width == 60 for photo in photos):
            raise RuntimeError("out of memory")
        return plain(self, photos, wanted)

    monkeypatch.setattr(memory.MemoryExtractor, "extract", moody)
    for name, width in (("a", 40), ("b", 50), ("c", 60), ("d", 70)):
        Image.new("RGB", (width, 30), (200, 200, 200)).save(tmp_path / f"{name}.png")
    code, records, _ = run(capsys, "inspect", str(tmp_path), "--plan", plan)
    assert code == 1
    assert [r["status"] for r in records] == ["inspected", "error", "error", "inspected"]
    assert records[1]["error"]["kind"] == "transient"
    assert "unforeseen RuntimeError" in records[2]["error"]["message"]


def test_many_photos_load_each_engine_once(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    plan: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[str] = []
    for kind in ("extractor", "segmenter", "triage"):
        plain = getattr(memory, f"load_{kind}")
        monkeypatch.setattr(
            memory, f"load_{kind}", lambda s, k=kind, p=plain: (loaded.append(k), p(s))[1]
        )
    monkeypatch.setattr(inspecting, "CHUNK_PHOTOS", 4)
    for index in range(10):
        make_photo(tmp_path / "many" / f"{index}.png")
    code, records, _ = run(capsys, "inspect", str(tmp_path / "many"), "--plan", plan)
    assert (code, len(records)) == (0, 10)
    assert sorted(loaded) == ["extractor", "segmenter", "triage"]


def test_name_that_is_no_utf8_does_not_stop_the_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, plan: str
) -> None:
    photo = make_photo(tmp_path / "caf\udce9.png")
    code, (record,), _ = run(capsys, "inspect", str(photo), "--plan", plan)
    assert code == 0
    assert record["photo"]["name"].endswith(".png")


def test_boxes_and_clicks_give_masks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    photo = make_photo(tmp_path / "a.png")
    boxes = ["--box", "60", "40", "20", "10", "--box", "0", "0", "5", "5"]
    code, (record,), _ = run(
        capsys, "segment", str(photo), *boxes, "--out", str(tmp_path / "o.png")
    )
    assert code == 0
    areas = [coco.area(found["masks"][0]["mask"]) for found in record["objects"]]
    assert areas == [1200, 25]
    assert record["objects"][0]["prompt"]["box"] == {"x1": 20, "y1": 10, "x2": 60, "y2": 40}
    assert (tmp_path / "o.png").stat().st_size > 100
    clicks = ["--click", "30", "20", "1", "--click", "1", "1", "0"]
    _, (record,), _ = run(capsys, "segment", str(photo), *clicks)
    assert len(record["objects"]) == 1
    assert len(record["objects"][0]["prompt"]["clicks"]) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "say what to segment"),
        (["--box", "1", "1", "1", "9"], "has no area"),
        (["--box", "-1", "1", "5", "9"], "start at 0"),
        (["--click", "1", "1", "7"], "1 (on) or 0 (off)"),
        (["--click", "1", "1", "0"], "must be on the object"),
        (
            ["--click", "1", "1", "1", "--box", "0", "0", "2", "2", "--box", "0", "0", "3", "3"],
            "one",
        ),
    ],
)
def test_wrong_prompt_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], says: str
) -> None:
    photo = make_photo(tmp_path / "a.png")
    code, records, err = run(capsys, "segment", str(photo), *arguments)
    assert (code, records) == (2, [])
    assert says in err


def test_box_outside_the_photo_is_an_error_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    photo = make_photo(tmp_path / "a.png")
    code, (record,), _ = run(capsys, "segment", str(photo), "--box", "500", "500", "600", "600")
    assert code == 1
    assert record["error"]["kind"] == "input"


@pytest.mark.parametrize(
    ("which", "schema"), [("inspection", inspection_schema), ("plan", plan_schema)]
)
def test_published_schema_is_current(
    capsys: pytest.CaptureFixture[str], which: str, schema
) -> None:
    """If this fails: python -m models_runtime schema WHICH > docs/WHICH.schema.json"""
    assert main(["schema", which]) == 0
    printed = json.loads(capsys.readouterr().out)
    published = json.loads((PROJECT / "docs" / f"{which}.schema.json").read_text())
    assert printed == published == schema()
    jsonschema.Draft202012Validator.check_schema(published)


def test_plan_schema_accepts_what_the_command_accepts() -> None:
    jsonschema.validate(PLAN, plan_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "x", "colour": 1}, plan_schema())


def test_help_documents_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["inspect", "--help"])
    assert caught.value.code == 0
    assert "exit codes" in capsys.readouterr().out


def test_module_runs_without_django_or_torch(tmp_path: Path, plan: str) -> None:
    photo = make_photo(tmp_path / "a.png")
    program = (
        "import sys; from models_runtime.cli.main import main; "
        f"code = main(['inspect', {str(photo)!r}, '--plan', {plan!r}]); "
        "assert not {'django', 'torch', 'transformers'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "inspected"


def test_reader_that_goes_away_is_no_crash(tmp_path: Path, plan: str) -> None:
    for index in range(3):
        make_photo(tmp_path / "many" / f"{index}.png")
    command = (
        f"{sys.executable} -m models_runtime inspect many --plan plan.json --pretty | head -n 1"
    )
    done = subprocess.run(
        ["bash", "-c", f"PYTHONPATH={PROJECT} {command}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr


def test_broken_engine_setting_in_the_environment_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plan: str
) -> None:
    def broken(spec):
        raise FatalError("the weights file is missing")

    monkeypatch.setattr(memory, "load_segmenter", broken)
    photo = make_photo(tmp_path / "a.png")
    code, _, err = run(capsys, "inspect", str(photo), "--plan", plan)
    assert code == 2
    assert "weights file is missing" in err
