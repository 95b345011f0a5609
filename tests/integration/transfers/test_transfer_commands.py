"""The commands do what the pages do."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from screen_world import Screens, make_screens
from transfer_world import SIZE, shaped_unit

from inspection.models import Inspection, Photo
from inspection.pipeline import wake

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Screens:
    monkeypatch.setattr(wake, "_send", lambda *a, **k: True)
    return make_screens()


def said(*words: str, **options: object) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


def test_a_plans_units_are_exported_into_a_file(world: Screens, tmp_path: Path) -> None:
    out = tmp_path / "lids.zip"
    told = said(
        "export", "coco", f"--out={out}", "--site=lid-works", "--plan=lids", "--no-photos"
    )  # fmt: skip
    assert "units: 1" in told
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == ["annotations.json"]
    with pytest.raises(CommandError, match="No unit fits"):
        said("export", "csv", f"--out={out}", "--site=lid-works", "--query=q=nowhere")
    with pytest.raises(CommandError, match="Name the site"):
        said("export", "csv", f"--out={out}")


def test_annotations_are_imported_from_a_file(world: Screens, tmp_path: Path) -> None:
    unit = shaped_unit(world, [])
    Photo.objects.filter(inspection=unit).update(name="lid-7.jpg")
    data = {
        "images": [{"id": 1, "file_name": "lid-7.jpg", "width": SIZE[1], "height": SIZE[0]}],
        "categories": [{"id": 1, "name": "Kratzer"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 30, 30]}],
    }
    file = tmp_path / "a.json"
    file.write_text(json.dumps(data))
    words = ("import_annotations", str(file), "--plan=lids")
    assert "Kratzer (1): not known" in said(*words, "--dry-run")
    assert not unit.findings.exists()
    with pytest.raises(CommandError, match="Choose a class for “Kratzer”"):
        said(*words)
    assert "findings: 1" in said(*words, "--map", "Kratzer=scratch")
    assert unit.findings.get().type == "scratch"
    file.write_text("{")
    with pytest.raises(CommandError, match=r"a\.json, line 1, column 2"):
        said(*words)
    with pytest.raises(CommandError, match="can't be read"):
        said("import_annotations", str(tmp_path / "none.json"), "--plan=lids")
    assert Inspection.objects.filter(site=world.site).count() == 2
