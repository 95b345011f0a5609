"""`manage.py inspect`: plans from the database, JSON by the published schema, or a table."""

from __future__ import annotations

import csv
import io
import json

import jsonschema
import pytest
from django.core.management import CommandError, call_command
from PIL import Image
from pipeline_world import PLAN, photo_bytes

from inspection.demo.plans import demo_plans
from inspection.environment import PROJECT_ROOT
from inspection.pipeline import runtime
from models_runtime.samples import draw_sample

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "lid.png"
    path.write_bytes(photo_bytes())
    return path


def inspect(*words, **options):
    out = io.StringIO()
    call_command("inspect", *map(str, words), stdout=out, **options)
    return out.getvalue()


@pytest.mark.parametrize("name", ["lids", "Lids"])
def test_a_photo_is_inspected_by_a_plan_of_the_database(world, photo, tmp_path, name):
    (line,) = inspect(photo, plan=[name], out=tmp_path / "overlays").splitlines()
    record = json.loads(line)
    schema = json.loads((PROJECT_ROOT / "docs" / "inspection.schema.json").read_text())
    jsonschema.validate(record, schema)
    assert record["disposition"] == "rework"
    assert record["plan"]["name"] == "Lids"
    assert list((tmp_path / "overlays").glob("lid-*.jpg"))


def test_a_plan_can_be_a_file_too(world, photo, tmp_path):
    plan = tmp_path / "caps.json"
    plan.write_text(json.dumps(PLAN | {"name": "Caps"}))
    assert json.loads(inspect(photo, plan=[str(plan)]))["plan"]["name"] == "Caps"


def test_a_table_has_a_line_per_photo_and_says_what_is_broken(world, photo, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(photo_bytes()[:200])
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("inspect", str(photo), str(broken), plan=["lids"], table=True, stdout=out)
    head, first, second = out.getvalue().splitlines()
    assert head.startswith("photo")
    assert "rework" in first
    assert "damaged" in second


def test_a_wrong_plan_is_told_with_those_there_are(world, photo):
    with pytest.raises(CommandError, match="There are: lids"):
        inspect(photo, plan=["lid"])


def test_a_wrong_site_is_told_with_those_there_are(world, photo):
    with pytest.raises(CommandError, match=f"--site. There are: {world.site.slug}"):
        inspect(photo, plan=["lids"], site="elsewhere")


def check_with_real_engines(settings, tmp_path, photos, plan):
    """What the shipped models say of photos fits the published schema, photo by photo."""
    settings.ENGINES = dict.fromkeys(settings.ENGINES, "embedded:") | {"llm": "template:"}
    runtime.runtime.cache_clear()
    file = tmp_path / "plan.json"
    file.write_text(plan.model_dump_json())
    said = inspect(*photos, plan=[str(file)], out=tmp_path / "overlays")
    schema = json.loads((PROJECT_ROOT / "docs" / "inspection.schema.json").read_text())
    records = [json.loads(line) for line in said.splitlines()]
    assert len(records) == len(photos)
    for record in records:
        jsonschema.validate(record, schema)
        assert record["abstained"] or record["attributes"]
    return records


def test_the_shipped_models_answer_by_the_schema(world, settings, tmp_path):
    for kind, defect, plan in (
        ("solar", "dark", "solar-cells"),
        ("garment", "hole", "garments-for-resale"),
        ("wall", None, "walls-and-roads"),
    ):
        pixels, _ = draw_sample(kind, defect, 5, (320, 320))
        Image.fromarray(pixels).save(tmp_path / f"{kind}.png")
        check_with_real_engines(settings, tmp_path, [tmp_path / f"{kind}.png"], demo_plans()[plan])


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "plan"),
    [("solar", "solar-cells"), ("clothing", "garments-for-resale"), ("roads", "walls-and-roads")],
)
def test_val_photos_are_answered_by_the_schema(world, settings, tmp_path, photo_data, folder, plan):
    with (photo_data / folder / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "val"]
    photos = [photo_data / folder / row["image"] for row in rows[:: len(rows) // 4][:4]]
    records = check_with_real_engines(settings, tmp_path, photos, demo_plans()[plan])
    assert {record["plan"]["name"] for record in records} == {demo_plans()[plan].name}
