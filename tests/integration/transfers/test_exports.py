"""Each export is read back by the library that the field reads it with, and has the same masks."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.utils import timezone
from judging_world import decide, key, rule
from PIL import Image
from screen_world import Screens, make_inspection, make_plan, make_screens
from transfer_world import SHAPES, exported, mask_columns, ragged, shaped_unit, unpacked, with_hole

from inspection.models import Comment, ExportJob, Finding, Inspection, Photo
from inspection.selectors.inspections import InspectionFilter
from inspection.services import background, comments, gold, reviews
from inspection.services.exports import jobs, run
from inspection.services.exports.options import ExportOptions
from inspection.services.exports.photos import export_name, without_exif
from models_runtime import masks
from models_runtime.contracts import Mask

pytestmark = [
    pytest.mark.integration,
    pytest.mark.django_db,
    # pycocotools' own decoder warns under numpy 2.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pycocotools"),
]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Screens:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)
    made = make_screens()
    # Only what a test makes itself is to be in its export.
    Inspection.objects.filter(site=made.site).update(line="other")
    return made


def truth(unit: Inspection) -> list[tuple[str, np.ndarray]]:
    rows = Finding.objects.filter(inspection=unit).order_by("-confidence")
    return [(row.type, _bits(row)) for row in rows]


def _bits(row: Finding) -> np.ndarray:
    return masks.decode(Mask(size=(row.mask_height, row.mask_width), counts=row.mask_counts))


def same(found, wanted) -> bool:
    def told(pairs):
        return sorted((name, bits.tobytes()) for name, bits in pairs)

    return told(found) == told(wanted)


def mine(unit: Inspection) -> dict[str, str]:
    Inspection.objects.filter(pk=unit.pk).update(line="mine")
    return {"line": "mine"}


@pytest.mark.parametrize("shape", ["rle", "polygon"])
def test_coco_read_by_pycocotools_has_the_same_masks(world, tmp_path, shape):
    from pycocotools.coco import COCO

    unit = shaped_unit(world)
    _, archive = exported(world, "coco", mine(unit), shape=shape)
    folder = unpacked(archive, tmp_path)
    data = COCO(str(folder / "annotations.json"))
    names = {one["id"]: one["name"] for one in data.loadCats(data.getCatIds())}
    found = [
        (names[one["category_id"]], data.annToMask(one).astype(bool)) for one in data.anns.values()
    ]
    assert same(found, truth(unit))
    (image,) = data.imgs.values()
    with Image.open(folder / "images" / image["file_name"]) as photo:
        assert photo.size == (image["width"], image["height"]) == (200, 150)
    kinds = {type(one["segmentation"]) for one in data.anns.values()}
    assert kinds == {dict if shape == "rle" else list}
    assert list(names.values()) == ["dent", "scratch"]


def test_yolo_read_by_supervision_has_the_same_masks_but_for_lines_between_parts(world, tmp_path):
    import supervision as sv

    unit = shaped_unit(world)
    job, archive = exported(world, "yolo", mine(unit), shape="segment")
    folder = unpacked(archive, tmp_path)
    data = sv.DetectionDataset.from_yolo(
        str(folder / "images/train"), str(folder / "labels/train"), str(folder / "data.yaml"),
        force_masks=True,
    )  # fmt: skip
    assert data.classes == ["dent", "scratch"]
    ((_, _, found),) = list(data)
    rows = sorted(truth(unit), key=lambda one: one[0])  # majors come first, as on the unit's page
    assert [data.classes[i] for i in found.class_id] == [name for name, _ in rows]
    for bits, (_, wanted) in zip(found.mask, rows, strict=True):
        union, both = (bits | wanted).sum(), (bits & wanted).sum()
        parts = masks.encode(wanted)
        is_apart = wanted[5:12, 160:190].all() and parts.counts
        assert both == wanted.sum()
        assert both / union > 0.9 if is_apart else both == union
    assert job.counts["masks whose parts are tied by lines"] == 1


def test_yolo_boxes_are_those_of_the_findings(world, tmp_path):
    import supervision as sv

    unit = shaped_unit(world)
    _, archive = exported(world, "yolo", mine(unit), shape="detect")
    folder = unpacked(archive, tmp_path)
    data = sv.DetectionDataset.from_yolo(
        str(folder / "images/train"), str(folder / "labels/train"), str(folder / "data.yaml")
    )
    ((_, _, found),) = list(data)
    rows = Finding.objects.filter(inspection=unit).order_by("-confidence")
    wanted = sorted([row.x1, row.y1, row.x2, row.y2] for row in rows)
    assert np.allclose(sorted(found.xyxy.tolist()), wanted, atol=0.01)


def test_voc_has_the_same_boxes_and_masks(world, tmp_path):
    import supervision as sv

    unit = shaped_unit(world)
    _, archive = exported(world, "voc", mine(unit))
    folder = unpacked(archive, tmp_path)
    data = sv.DetectionDataset.from_pascal_voc(
        str(folder / "JPEGImages"), str(folder / "Annotations")
    )
    ((path, _, found),) = list(data)
    stem = path.rpartition("/")[2].rpartition(".")[0]
    # Label pictures are read as torchvision's VOCSegmentation reads them: with Pillow.
    objects = np.asarray(Image.open(folder / "SegmentationObject" / f"{stem}.png"))
    classes = np.asarray(Image.open(folder / "SegmentationClass" / f"{stem}.png"))
    pairs = [
        (data.classes[kind], objects == number)
        for number, kind in enumerate(found.class_id, start=1)
    ]
    assert same(pairs, truth(unit))
    labels = [line.split(":")[0] for line in (folder / "labelmap.txt").read_text().splitlines()]
    for name, bits in truth(unit):
        assert (classes[bits] == labels.index(name)).all()
    rows = Finding.objects.filter(inspection=unit).order_by("-confidence")
    wanted = sorted([row.x1, row.y1, row.x2, row.y2] for row in rows)
    assert sorted(found.xyxy.tolist()) == wanted
    assert (folder / "ImageSets/Segmentation/train.txt").read_text() == f"{stem}\n"


def test_voc_puts_the_smaller_of_two_overlapping_masks_on_top(world, tmp_path):
    def small():
        bits = np.zeros((150, 200), bool)
        bits[24:30, 34:44] = True
        return bits

    unit = shaped_unit(world, [with_hole, small])
    _, archive = exported(world, "voc", mine(unit))
    name = next(n for n in archive.namelist() if n.startswith("SegmentationObject/"))
    objects = np.asarray(Image.open(io.BytesIO(archive.read(name))))
    assert ((objects == 2) == small()).all()
    assert ((objects == 1) == (with_hole() & ~small())).all()


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_tables_have_masks_verdicts_and_comments(world, format):
    from pycocotools import mask as coco

    unit = shaped_unit(world)
    reviewer = world.memberships["reviewer"]
    first = unit.findings.order_by("key")[0]
    reviews.change_finding(reviewer, first, key(), type="scratch", comment="=SUM(A1)")
    second = unit.findings.order_by("key")[1]
    reviews.reject_finding(reviewer, second, key(), "Only dust", reason="dirt")
    comments.add_comment(reviewer, unit, "Look @lid-manager", key())
    decide(reviewer, unit, "reject")
    job, archive = exported(world, format, mine(unit), findings="all")
    tables = {name: read(archive, format, name) for name in ("units", "findings", "verdicts")}
    found = [
        (row["type"], coco.decode(json.loads(row["mask"])).astype(bool))
        for row in tables["findings"]
    ]
    assert same(found, truth(unit))
    by_id = {row["finding_id"]: row for row in tables["findings"]}
    changed, rejected = by_id[str(first.pk)], by_id[str(second.pk)]
    assert (changed["type"], changed["model_type"]) == ("scratch", "dent")
    assert changed["comment"] == ("'=SUM(A1)" if format == "csv" else "=SUM(A1)")
    assert (rejected["status"], rejected["reason"]) == ("rejected", "dirt")
    assert rejected["judged_by"] == "lid-reviewer"
    assert tables["units"][0]["decided_by"] == "lid-reviewer"
    assert tables["units"][0]["disposition"] == "reject"
    kinds = [row["kind"] for row in tables["verdicts"]]
    assert kinds == ["change_finding", "reject_finding", "disposition"]
    assert read(archive, format, "comments")[0]["body"] == "Look @lid-manager"
    assert job.counts["verdicts"] == 3


def read(archive, format, name):
    data = archive.read(f"{name}.{format}")
    if format == "csv":
        return list(csv.DictReader(io.StringIO(data.decode("utf-8"))))
    from pyarrow import parquet

    return parquet.read_table(io.BytesIO(data)).to_pylist()


def test_the_models_own_mask_is_beside_what_a_person_made_of_it(world):
    unit = shaped_unit(world, [ragged])
    row = unit.findings.get()
    after = mask_columns(with_hole())
    reviews.write_verdict(
        world.memberships["reviewer"], unit, kind="change_finding", finding=row,
        before={name: getattr(row, name) for name in after}, after=after, comment="",
        client_key=key(),
    )  # fmt: skip
    Finding.objects.filter(pk=row.pk).update(**after, status="confirmed")
    _, archive = exported(world, "coco", mine(unit), findings="confirmed")
    (told,) = json.loads(archive.read("annotations.json"))["annotations"]
    assert told["segmentation"]["counts"] == masks.encode(with_hole()).counts
    assert told["loupe"]["model_mask"]["counts"] == masks.encode(ragged()).counts


def test_filters_choose_units_and_findings(world):
    confirmed = shaped_unit(world)
    one = confirmed.findings.order_by("key")[0]
    reviewer = world.memberships["reviewer"]
    reviews.confirm_finding(reviewer, one, key())
    decide(reviewer, confirmed, "reject")
    shaped_unit(world)
    job, archive = exported(world, "coco", {"what": "by_person"}, findings="confirmed")
    data = json.loads(archive.read("annotations.json"))
    assert [a["loupe"]["finding_id"] for a in data["annotations"]] == [str(one.pk)]
    assert job.counts["units"] == 1
    assert [u["unit_id"] for u in data["loupe_units"]] == [str(confirmed.pk)]
    assert data["loupe_units"][0]["verdicts"][0]["by"] == "lid-reviewer"


def test_no_word_leaves_the_house_while_it_is_sealed(world):
    rule(world.plan)
    unit = shaped_unit(world)
    reviewer = world.memberships["reviewer"]
    said = unit.findings.order_by("key")[0]
    reviews.change_finding(reviewer, said, key(), type="scratch", severity="critical")
    reviews.reject_finding(reviewer, unit.findings.order_by("key")[1], key(), reason="dirt")
    Comment.objects.create(
        site=world.site, inspection=unit, author=reviewer.user, body="It is a scratch",
        client_key=key(),
    )  # fmt: skip
    for stage in ("while they work", "sealed"):
        _, archive = exported(world, "coco", mine(unit), findings="all")
        text = archive.read("annotations.json").decode()
        data = json.loads(text)
        for word in ("lid-reviewer", "critical", "rejected", "It is a scratch", "dirt"):
            assert word not in text, (stage, word)
        kinds = sorted(a["category_id"] for a in data["annotations"])
        assert kinds == [1, 1, 2, 2], stage
        assert data["loupe_units"][0]["is_blind"] is True
        if stage == "while they work":
            decide(reviewer, unit, "reject")


def test_copies_that_grade_reviewers_are_left_out(world):
    unit = shaped_unit(world)
    decide(world.memberships["reviewer"], unit, "reject")
    gold.make_gold(world.memberships["manager"], Inspection.objects.get(pk=unit.pk))
    job, _ = exported(world, "csv", {"plan": world.plan.key})
    shown = Inspection.objects.filter(site=world.site, plan=world.plan)
    assert job.counts["units"] == shown.count() - 1


def test_another_site_is_never_in_it(world):
    theirs = make_inspection(
        world.elsewhere, make_plan(world.elsewhere, "theirs"), reference="Theirs"
    )
    _, archive = exported(world, "csv")
    assert str(theirs.pk) not in archive.read("units.csv").decode()


def test_a_photo_goes_out_upright_and_without_exif(world):
    unit = shaped_unit(world)
    photo = unit.photos.get()
    with default_storage.open(photo.original_key) as file:
        pixels = Image.open(file).convert("RGB")
    exif = Image.Exif()
    exif[274], exif[0x010E] = 6, "Secret place"
    turned = io.BytesIO()
    pixels.rotate(90, expand=True).save(turned, "JPEG", exif=exif, quality=95)
    with default_storage.open(photo.original_key, "wb") as file:
        file.write(turned.getvalue())
    _, archive = exported(world, "coco", mine(unit))
    data = archive.read(f"images/{export_name(photo)}")
    with Image.open(io.BytesIO(data)) as out:
        assert out.size == (200, 150)
        assert not out.getexif()
    assert b"Secret place" not in data


def test_exif_is_cut_out_without_touching_a_pixel():
    exif = Image.Exif()
    exif[0x010E] = "Secret place"
    source = Image.effect_noise((64, 48), 40).convert("RGB")
    out = io.BytesIO()
    source.save(out, "JPEG", exif=exif, comment=b"by somebody")
    plain = without_exif(out.getvalue())
    assert plain is not None
    assert b"Secret" not in plain
    assert b"somebody" not in plain
    assert np.array_equal(Image.open(io.BytesIO(plain)), Image.open(out))
    assert without_exif(b"GIF89a") is None
    assert without_exif(out.getvalue()[:200]) is None


def start(world: Screens, who: str = "manager", format: str = "csv") -> ExportJob:
    options = ExportOptions.of(format, shape="", findings="standing", photos=False)
    return jobs.start(world.memberships[who], format, InspectionFilter(), options)


def test_only_managers_export_and_no_more_than_a_few_at_once(world):
    with pytest.raises(jobs.ExportRefusedError, match="Only quality managers"):
        start(world, "reviewer")
    for _ in range(jobs.MOST_OPEN):
        start(world)
    with pytest.raises(jobs.ExportRefusedError, match="Wait for one"):
        start(world)


def test_a_killed_worker_loses_nothing(world):
    job = start(world)
    dead = background.claim(ExportJob, job.pk)
    assert dead is not None
    jobs.work(job.pk)
    job.refresh_from_db()
    assert job.status == "running", "another worker waits until the lease is over"
    ExportJob.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    ExportJob.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    assert background.due(ExportJob) == [job.pk]
    jobs.work(job.pk)
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("done", 2)
    with pytest.raises(background.LostClaimError):
        dead.save(done=3)
    assert not dead.end("failed", "late")


def test_a_job_that_kills_workers_is_given_up(world):
    job = start(world)
    past = timezone.now() - timedelta(minutes=5)
    ExportJob.objects.update(status="running", attempt=background.MOST_ATTEMPTS, lease_until=past)
    jobs.work(job.pk)
    job.refresh_from_db()
    assert job.status == "failed"
    assert "several times" in job.message


def test_a_cancelled_export_stops_and_leaves_no_file(world, monkeypatch):
    job = start(world)
    real = run.reads.read_units

    def cancelled(*args):
        assert jobs.cancel(world.memberships["manager"], job)
        return real(*args)

    monkeypatch.setattr(run.reads, "read_units", cancelled)
    jobs.work(job.pk)
    job.refresh_from_db()
    assert (job.status, job.message) == ("cancelled", "Cancelled by lid-manager.")
    assert not default_storage.exists(run.export_key(job, 1))
    assert not jobs.cancel(world.memberships["manager"], job)
    monkeypatch.undo()
    second = jobs.again(world.memberships["manager"], job)
    jobs.work(second.pk)
    second.refresh_from_db()
    assert second.status == "done"


def test_what_breaks_is_told_and_can_be_tried_again(world, monkeypatch):
    job = start(world)
    monkeypatch.setattr(run.reads, "plans_of", lambda rows: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        jobs.work(job.pk)
    job.refresh_from_db()
    assert (job.status, job.message) == ("failed", background.CRASHED)


def test_nothing_to_export_says_so(world):
    options = ExportOptions.of("csv", shape="", findings="standing", photos=False)
    wanted = InspectionFilter.parse({"q": "nowhere"})
    job = jobs.start(world.memberships["manager"], "csv", wanted, options)
    jobs.work(job.pk)
    job.refresh_from_db()
    assert job.status == "failed"
    assert job.message.startswith("No unit fits")


def test_a_file_goes_after_its_days_and_the_row_tells_of_it(world):
    job, _ = exported(world, "csv")
    assert jobs.tidy_up() == 0
    ExportJob.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    file_key = job.file_key
    assert jobs.tidy_up() == 1
    job.refresh_from_db()
    assert (job.status, job.file_key) == ("expired", "")
    assert not default_storage.exists(file_key)


def test_a_photo_whose_original_is_gone_is_counted(world):
    unit = shaped_unit(world)
    Photo.objects.filter(inspection=unit).update(original_key="gone.jpg")
    job, archive = exported(world, "coco", mine(unit))
    assert job.counts["photos missing"] == 1
    assert archive.namelist() == ["annotations.json"]
    assert len(SHAPES) == job.counts["findings"]
