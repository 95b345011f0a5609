"""Annotations of other programs come in as findings: all or nothing, and after a look."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.utils import timezone
from judging_world import decide, key, rule
from screen_world import Screens, make_plan, make_screens
from transfer_world import SIZE, exported, packed, png_photo, ragged, shaped_unit, with_hole

from inspection.models import Finding, ImportedAnnotation, ImportJob, Inspection, Photo, Review
from inspection.pipeline import settle, wake
from inspection.services import background, reviews
from inspection.services.exports.photos import export_name
from inspection.services.imports import jobs, run
from models_runtime import masks
from models_runtime.contracts import Mask

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Screens:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)
    monkeypatch.setattr(wake, "_send", lambda *a, **k: True)
    return make_screens()


def sent(world: Screens, data: bytes | dict[str, Any], name: str = "instances.json") -> ImportJob:
    """A file, checked."""
    raw = json.dumps(data).encode() if isinstance(data, dict) else data
    job = jobs.start(world.memberships["manager"], world.plan, name, io.BytesIO(raw))
    return worked(job)


def worked(job: ImportJob) -> ImportJob:
    jobs.work(job.pk)
    job.refresh_from_db()
    return job


def taken(world: Screens, job: ImportJob, **mapping: str) -> ImportJob:
    assert job.status == "ready", (job.message, job.report)
    chosen = {row["name"]: row["key"] for row in job.report["classes"]} | mapping
    jobs.confirm(world.memberships["manager"], job, chosen)
    return worked(job)


def coco(*annotations: dict[str, Any], file: str = "lid.jpg", **image: Any) -> dict[str, Any]:
    size = {"width": SIZE[1], "height": SIZE[0]}
    return {
        "images": [{"id": 1, "file_name": file, **size, **image}],
        "categories": [{"id": 7, "name": "Dent"}, {"id": 8, "name": "Kratzer"}],
        "annotations": [{"id": n, "image_id": 1} | one for n, one in enumerate(annotations, 1)],
    }


def boxed(category: int = 7, **more: Any) -> dict[str, Any]:
    return {"category_id": category, "bbox": [100, 90, 40, 30]} | more


def unit_of(world: Screens, name: str) -> Inspection:
    """A unit whose photo is called so, without findings."""
    unit = shaped_unit(world, [])
    Photo.objects.filter(inspection=unit).update(name=name)
    return unit


def bits(row: Finding) -> np.ndarray:
    return masks.decode(Mask(size=(row.mask_height, row.mask_width), counts=row.mask_counts))


def test_coco_comes_in_under_the_plans_classes_and_knows_where_it_is_from(world):
    unit = unit_of(world, "IMG 0042.JPG")
    mask = masks.encode(with_hole())
    runs = {"size": list(SIZE), "counts": mask.counts}
    data = coco(
        boxed(), boxed(8, segmentation=runs, bbox=None), boxed(8, bbox=[1, 1, 5, 5]),
        file="photos/IMG 0042.JPG",
    )  # fmt: skip
    job = sent(world, data)
    assert [(row["name"], row["key"]) for row in job.report["classes"]] == [
        ("Dent", "dent"), ("Kratzer", ""),
    ]  # fmt: skip
    assert (job.report["findings"], job.report["units"], job.report["new_units"]) == (3, 1, 0)
    assert not unit.findings.exists(), "a check changes nothing"
    job = taken(world, job, Kratzer="scratch")
    assert job.status == "done"
    assert job.counts["findings"] == 3
    first, second, _ = unit.findings.order_by("created_at", "key", "pk").order_by("-area_px")[:3][
        ::-1
    ][::-1]
    assert {first.type, second.type} == {"scratch", "dent"}
    assert np.array_equal(bits(first), with_hole())
    assert (second.x1, second.y1, second.x2, second.y2) == (100, 90, 140, 120)
    assert {row.source for row in unit.findings.all()} == {"import"}
    assert {row.status for row in unit.findings.all()} == {"open"}
    origin = ImportedAnnotation.objects.get(finding=first)
    assert (origin.place, origin.class_name) == ("annotations[1] (id 2)", "Kratzer")
    assert origin.file_sha256 == job.sha256
    assert origin.job.name == "instances.json"
    unit.refresh_from_db()
    assert unit.severity == "major"


def test_the_same_file_twice_doubles_nothing(world):
    unit = unit_of(world, "lid-7.jpg")
    data = coco(boxed(), file="lid-7.jpg")
    taken(world, sent(world, data))
    job = sent(world, data)
    assert (job.report["findings"], job.report["there"]) == (0, 1)
    assert job.message == run.NOTHING
    taken(world, job)
    assert unit.findings.count() == 1


def test_two_imports_at_once_of_the_same_file_double_nothing(world, monkeypatch):
    unit = unit_of(world, "lid-7.jpg")
    data = coco(boxed(), file="lid-7.jpg")
    one, two = sent(world, data), sent(world, data)
    store = run._store

    def meanwhile(*args):
        monkeypatch.setattr(run, "_store", store)
        assert taken(world, two).status == "done"
        return store(*args)

    monkeypatch.setattr(run, "_store", meanwhile)
    job = taken(world, one)
    assert job.status == "failed"
    assert "by another import meanwhile" in job.message
    assert unit.findings.count() == 1


def test_what_is_left_out_is_said_with_its_reason(world):
    unit_of(world, "lid-7.jpg")
    other = unit_of(world, "other.jpg")
    Inspection.objects.filter(pk=other.pk).update(plan=make_plan(world.site, "other-plan"))
    data = coco(boxed(8), boxed(7), file="lid-7.jpg")
    size = {"width": SIZE[1], "height": SIZE[0]}
    data["images"] += [
        {"id": 2, "file_name": "nowhere.jpg", **size},
        {"id": 3, "file_name": "other.jpg", **size},
    ]
    data["annotations"].append({"id": 9, "image_id": 2, "category_id": 7, "bbox": [1, 1, 9, 9]})
    job = sent(world, data)
    told = dict(map(tuple, job.report["left_out"]))
    assert told["nowhere.jpg"].startswith("no photo of the site has this name")
    assert told["other.jpg"] == "its unit is inspected by Steel lids"
    job = taken(world, job, Kratzer=jobs.LEAVE_OUT)
    assert job.counts["findings"] == 1


def test_two_photos_of_one_name_are_not_guessed(world):
    unit_of(world, "lid-7.jpg")
    unit_of(world, "lid-7.jpg")
    job = sent(world, coco(boxed(), file="lid-7.jpg"))
    assert job.report["left_out"][0][1].startswith("2 photos of the site fit it")


BAD: list[tuple[bytes, str]] = [
    (b'{"images": [}', "instances.json, line 1, column 13: this is no JSON"),
    (b'{"a": NaN}', "NaN is no number"),
    (b"\xff\xfe{}", "this is no text in UTF-8"),
    (b"[" * 100_000, "nested far too deeply"),
    (b"[]", "this is no COCO file"),
    (json.dumps(coco({"category_id": 9, "bbox": [1, 1, 2, 2]})).encode(),
     "annotations[0] (id 1): there is no category '9'."),
    (json.dumps(coco(boxed(image_id=5))).encode(), "annotations[0] (id 1): there is no image '5'."),
    (json.dumps(coco(boxed(), boxed(bbox=[190, 10, 40, 10]))).encode(),
     "annotations[1] (id 2): bbox lies outside its image of 200 × 150 pixels."),
    (json.dumps(coco(boxed(bbox=[1, 2, 0, 4]))).encode(), "bbox must be wider and higher than 0."),
    (json.dumps(coco(boxed(segmentation=[[1, 2, 3, 4, 5]]))).encode(),
     "polygon 0 has 5 numbers; it needs pairs, and at least three."),
    (json.dumps(coco(boxed(segmentation={"size": [3, 3], "counts": "09"}))).encode(),
     "the runs are for a size of [3, 3], but must be [150, 200]."),
    (json.dumps(coco(boxed(segmentation={"size": [150, 200], "counts": "09"}))).encode(),
     "annotations[0] (id 1): The mask covers 9 pixels"),
    (json.dumps(coco(boxed(segmentation={"size": [150, 200], "counts": [1, 2]}))).encode(),
     "counts must be runs that add up"),
    (json.dumps(coco(boxed(score=3))).encode(), "score must be from 0 to 1."),
    (packed({"readme.md": "hello"}), "neither COCO nor YOLO"),
    (packed({"labels/a.txt": "0 .5 .5 .1 .1"}), "put data.yaml or classes.txt into the zip"),
    (packed({"data.yaml": "names: [a", "labels/a.txt": ""}), "data.yaml, line "),
    (packed({"data.yaml": "names: [a]", "labels/a.txt": "0 .5 .5 .1 .1\n\n1 .5 .5 .1 .1"}),
     "labels/a.txt, line 3: there is no class 1; there are 0 to 0."),
    (packed({"data.yaml": "names: {0: a}", "labels/a.txt": "0 .5 .5 .1 nope"}),
     "labels/a.txt, line 1: “nope” is no number."),
    (packed({"classes.txt": "a\nb", "labels/a.txt": "0 .5 .5 .1"}), "line 1: it has 4 numbers"),
    (packed({"data.yaml": "names: [a]", "labels/a.txt": "0 1.5 .5 .1 .1"}), "shares of the photo"),
    (packed({"a.json": json.dumps(coco()), "b.json": json.dumps(coco())}), "2 COCO files"),
    (packed({"a.json": b" " * 30_000_000 + b"{}"}), "unpacks to far more than a photo would"),
    (packed({"a.json": json.dumps(coco()), "lid.jpg": b"\xff\xd8\xff\xe0broken"}), "damaged"),
    (b"PK\x03\x04 and nothing", "damaged or not a zip"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "words"), BAD, ids=[words[:40] for _, words in BAD])
def test_a_malformed_file_says_where_and_nothing_comes_in(world, data, words):
    before = Finding.objects.count(), Inspection.objects.count()
    job = sent(world, data)
    assert job.status == "failed"
    assert job.message.startswith("Nothing was imported")
    assert any(words in problem for problem in job.report["problems"]), job.report
    assert (Finding.objects.count(), Inspection.objects.count()) == before


def test_all_problems_are_told_in_one_go(world):
    job = sent(world, coco(boxed(9), boxed(bbox=[1]), boxed(8, bbox=[500, 1, 2, 2])))
    assert len(job.report["problems"]) == 3


def test_a_photo_of_another_size_is_refused(world):
    unit_of(world, "lid-7.jpg")
    job = sent(world, coco(boxed(), file="lid-7.jpg", width=640, height=480))
    assert job.report["problems"] == [
        "images[0]: the file says 640 × 480 pixels, but lid-7.jpg has 200 × 150 when it is upright."
    ]


def test_a_zip_with_photos_makes_new_units(world):
    files = {
        "annotations/instances.json": json.dumps(coco(boxed(), file="new-one.png")),
        "images/new-one.png": png_photo(1),
    }
    job = sent(world, packed(files), "dataset.zip")
    assert (job.report["new_units"], job.report["findings"]) == (1, 1)
    job = taken(world, job)
    assert job.status == "done", job.message
    unit = Inspection.objects.get(reference="new-one")
    assert (unit.plan, unit.status) == (world.plan, "received")
    finding = unit.findings.get()
    assert (finding.type, finding.source) == ("dent", "import")
    assert default_storage.exists(unit.photos.get().original_key)
    # What the models see in the same place later is the same finding, and it stays.
    settle.settle(unit.current_run, [])
    assert unit.findings.get().pk == finding.pk
    again = sent(world, packed(files), "dataset.zip")
    assert (again.report["new_units"], again.message) == (1, "")  # its photo is not decoded yet


def test_yolo_with_boxes_and_outlines_and_a_photo_without_defects(world):
    files = {
        "data.yaml": "names:\n  0: dent\n  1: scratch\n",
        "images/train/a.png": png_photo(1),
        "images/train/clean.png": png_photo(2),
        "labels/train/a.txt": "0 0.5 0.5 0.25 0.2\n1 0.1 0.1 0.4 0.1 0.4 0.4 0.1 0.4\n",
    }
    job = taken(world, sent(world, packed(files), "yolo.zip"))
    assert (job.counts["new units"], job.counts["findings"]) == (2, 2)
    unit = Inspection.objects.get(reference="a")
    box, outline = unit.findings.order_by("type")
    assert np.allclose((box.x1, box.y1, box.x2, box.y2), (75, 60, 125, 90))
    found = bits(outline)
    assert found[15:61, 20:81].all()
    assert found.sum() == 46 * 61
    assert not Inspection.objects.get(reference="clean").findings.exists()


@pytest.mark.parametrize(("format", "shape"), [("coco", "rle"), ("coco", "polygon"),
                                               ("yolo", "segment")])  # fmt: skip
def test_what_was_exported_comes_back_with_the_same_masks(world, format, shape):
    unit = shaped_unit(world, [with_hole, ragged])
    Inspection.objects.filter(pk=unit.pk).update(line="mine")
    exports, archive = exported(world, format, {"line": "mine"}, shape=shape)
    with default_storage.open(exports.file_key, "rb") as file:
        data = file.read()
    job = sent(world, data, "again.zip")
    assert (job.report["findings"], job.report["there"]) == (0, 2), "they are there already"
    wanted = {row.type: bits(row) for row in unit.findings.all()}
    unit.findings.all().delete()
    job = taken(world, sent(world, data, "again.zip"))
    back = {row.type: bits(row) for row in unit.findings.all()}
    assert back.keys() == wanted.keys()
    assert all(np.array_equal(back[kind], wanted[kind]) for kind in wanted)
    assert export_name(unit.photos.get()) in " ".join(archive.namelist())


def test_what_a_person_rejected_does_not_come_back_as_a_defect(world):
    unit = shaped_unit(world, [with_hole])
    row = unit.findings.get()
    reviews.reject_finding(world.memberships["reviewer"], row, key(), reason="dirt")
    Inspection.objects.filter(pk=unit.pk).update(line="mine")
    _, archive = exported(world, "coco", {"line": "mine"}, findings="all")
    job = sent(world, archive.read("annotations.json"))
    assert job.report["left_out"] == [["annotations[0] (id 1)", "a person rejected it"]]


def test_a_unit_that_is_judged_blind_is_left_alone(world):
    rule(world.plan)
    unit = unit_of(world, "lid-7.jpg")
    data = coco(boxed(), file="lid-7.jpg")
    early = sent(world, data)
    decide(world.memberships["reviewer"], unit, "reject")
    job = sent(world, data)
    assert "judged blind" in job.report["left_out"][0][1]
    late = taken(world, early)
    assert late.counts["findings"] == 0
    assert not unit.findings.exists()


def test_a_word_that_is_sealed_does_not_seal_what_was_imported(world):
    rule(world.plan)
    unit = unit_of(world, "lid-7.jpg")
    taken(world, sent(world, coco(boxed(), file="lid-7.jpg")))
    finding = unit.findings.get()
    reviews.reject_finding(world.memberships["reviewer"], finding, key(), reason="dirt")
    decide(world.memberships["reviewer"], unit, "accept")
    finding.refresh_from_db()
    assert (finding.status, finding.is_sealed) == ("open", False)
    assert Review.objects.filter(finding=finding).count() == 1


def test_only_managers_import_and_every_class_is_chosen(world):
    with pytest.raises(jobs.ImportRefusedError, match="Only quality managers"):
        jobs.start(world.memberships["reviewer"], world.plan, "a.json", io.BytesIO(b"{}"))
    with pytest.raises(jobs.ImportRefusedError, match="empty"):
        jobs.start(world.memberships["manager"], world.plan, "a.json", io.BytesIO(b""))
    unit_of(world, "lid-7.jpg")
    job = sent(world, coco(boxed(8), file="lid-7.jpg"))
    manager = world.memberships["manager"]
    with pytest.raises(jobs.ImportRefusedError, match="Choose a class for “Kratzer”"):
        jobs.confirm(manager, job, {})
    with pytest.raises(jobs.ImportRefusedError, match="not in the plan's defect catalogue"):
        jobs.confirm(manager, job, {"Kratzer": "hole"})
    jobs.confirm(manager, job, {"Kratzer": "scratch"})
    with pytest.raises(jobs.ImportRefusedError, match="no longer waits"):
        jobs.confirm(manager, job, {"Kratzer": "scratch"})


def test_a_worker_that_dies_while_writing_leaves_nothing_and_the_next_one_does_it(
    world, monkeypatch
):
    files = {
        "a.json": json.dumps(coco(boxed(), file="new-one.png")),
        "images/new-one.png": png_photo(1),
    }
    job = sent(world, packed(files), "dataset.zip")
    with monkeypatch.context() as dying:
        dying.setattr(run, "update_severity", lambda unit: None)
        dying.setattr(ImportedAnnotation.objects, "bulk_create", lambda rows: 1 / 0)
        chosen = {"Dent": "dent"}
        jobs.confirm(world.memberships["manager"], job, chosen)
        with pytest.raises(ZeroDivisionError):
            jobs.work(job.pk)
    assert not Inspection.objects.filter(reference="new-one").exists()
    past = timezone.now() - timedelta(seconds=1)
    ImportJob.objects.filter(pk=job.pk).update(status="running", lease_until=past)
    job = worked(job)
    assert job.status == "done"
    assert Inspection.objects.filter(reference="new-one").count() == 1


def test_a_cancelled_import_writes_nothing_and_can_be_checked_again(world, monkeypatch):
    unit = unit_of(world, "lid-7.jpg")
    job = sent(world, coco(boxed(), file="lid-7.jpg"))
    manager = world.memberships["manager"]
    store = run._store

    def cancelled(*args):
        assert jobs.cancel(manager, job)
        return store(*args)

    monkeypatch.setattr(run, "_store", cancelled)
    taken(world, job)
    assert job.status == "cancelled"
    assert not unit.findings.exists()
    jobs.again(manager, job)
    assert worked(job).status == "ready"
    assert background.due(ImportJob) == []


def test_the_imported_finding_goes_out_with_where_it_came_from(world):
    unit = unit_of(world, "lid-7.jpg")
    taken(world, sent(world, coco(boxed(), file="lid-7.jpg")))
    Inspection.objects.filter(pk=unit.pk).update(line="mine")
    _, archive = exported(world, "coco", {"line": "mine"})
    (told,) = json.loads(archive.read("annotations.json"))["annotations"]
    assert told["loupe"]["imported_by"] == "lid-manager"
    assert told["loupe"]["imported_file"] == "instances.json"


def test_files_of_old_imports_go_and_what_nobody_said_yes_to_expires(world):
    unit_of(world, "lid-7.jpg")
    done = taken(world, sent(world, coco(boxed(), file="lid-7.jpg")))
    ready = sent(world, coco(boxed(bbox=[1, 1, 9, 9]), file="lid-7.jpg"))
    assert jobs.tidy_up() == 0
    ImportJob.objects.update(created_at=timezone.now() - timedelta(days=100))
    assert jobs.tidy_up() == 2
    assert not default_storage.exists(done.stored_key)
    for job in (done, ready):
        job.refresh_from_db()
    assert (done.status, ready.status, ready.stored_key) == ("done", "expired", "")
    ImportJob.objects.filter(pk=ready.pk).update(status="failed")
    jobs.again(world.memberships["manager"], ready)
    assert "gone from the storage" in worked(ready).message
