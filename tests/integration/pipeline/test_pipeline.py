"""A photo goes through every step, and each step says what it did."""

from __future__ import annotations

import pytest
from pipeline_world import PLAN, photo_bytes, set_plan, statuses

from inspection.models import AttributeValue, Finding, Inspection, Photo, StepRun
from inspection.models.choices import InspectionStatus, PhotoStatus, RunStatus
from inspection.pipeline.settle import value_of

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_a_photo_with_a_defect_ends_with_a_verdict_and_a_mask(world):
    done = world.run(world.inspect(photo_bytes()))
    finding = done.findings.get()
    assert (done.status, done.disposition, done.severity) == ("decided", "rework", "major")
    assert (finding.x1, finding.y1, finding.x2, finding.y2) == (20, 30, 60, 70)
    assert finding.area_px == 40 * 40
    assert finding.length_px == 40
    assert (finding.length_mm is None) == (finding.area_mm2 is None)
    value = value_of(finding)
    assert (value.length_px, value.length_mm) == (finding.length_px, finding.length_mm)
    assert (finding.mask_height, finding.mask_width) == (150, 200)
    assert "hole major" in done.summary.lower()
    assert len(done.embedding) == 384
    assert AttributeValue.objects.get(run=done.current_run).value == "white"
    assert done.current_run.status == RunStatus.DONE


def test_a_sound_unit_is_accepted_and_says_why_steps_were_skipped(world):
    done = world.run(world.inspect(photo_bytes(square=None)))
    assert (done.status, done.disposition) == ("decided", "accept")
    assert not done.findings.exists()
    reasons = {row.step: row.reason for row in done.current_run.steps.filter(status="skipped")}
    assert set(reasons) == {"route", "segment", "report", "act"}
    assert all(reasons.values())


def test_every_step_writes_who_answered_how_long_and_at_what_cost(world):
    done = world.run(world.inspect(photo_bytes()))
    rows = {row.step: row for row in done.current_run.steps.filter(status="done")}
    assert {step: row.architecture for step, row in rows.items()} == {
        "intake": "rules",
        "extract": "vlm",
        "segment": "sam",
        "triage": "slm",
        "report": "llm",
    }
    for row in rows.values():
        assert row.engine
        assert row.engine_version
        assert row.reason
        assert row.run_ms > 0
        assert row.wait_ms is not None
        assert row.attempt == 1
    assert rows["extract"].confidence == pytest.approx(0.9)


def test_an_unsure_verdict_waits_for_a_person_and_does_nothing_outside(world):
    spec = PLAN | {"policy": {"review_below": 0.99}}
    set_plan(world.plan, spec | {"playbook": [{"destination": "board"}]})
    done = world.run(world.inspect(photo_bytes()))
    assert done.status == InspectionStatus.REVIEW
    act = done.current_run.steps.get(step="act")
    assert (act.status, act.reason) == ("skipped", "It waits for a person's decision.")


def test_a_broken_photo_fails_with_words_for_the_operator(world):
    done = world.run(world.inspect(photo_bytes()[:300]))
    assert done.status == InspectionStatus.FAILED
    assert "damaged or cut off" in done.message
    assert done.photos.get().status == PhotoStatus.UNUSABLE
    assert done.current_run.status == RunStatus.FAILED
    assert set(statuses(done).values()) == {"done", "skipped"}


def test_one_broken_photo_does_not_stop_the_others_of_the_unit(world):
    done = world.run(world.inspect(photo_bytes()[:300], photo_bytes()))
    assert done.status == InspectionStatus.DECIDED
    assert [p.status for p in done.photos.all()] == ["unusable", "ready"]


def test_the_same_photo_again_is_told_but_not_refused(world):
    first = world.run(world.inspect(photo_bytes()))
    again = world.run(world.inspect(photo_bytes()))
    photo = again.photos.get()
    assert photo.duplicate_of_id == first.photos.get().pk
    assert any("uploaded before" in warning for warning in photo.warnings)
    assert again.status == InspectionStatus.DECIDED


def test_a_nearly_identical_photo_is_told(world):
    first = world.run(world.inspect(photo_bytes(kind="PNG")))
    again = world.run(world.inspect(photo_bytes(kind="JPEG", quality=80)))
    photo = again.photos.get()
    assert photo.sha256 != first.photos.get().sha256
    assert photo.duplicate_of_id == first.photos.get().pk
    assert any("nearly the same" in warning for warning in photo.warnings)


def test_duplicates_at_another_site_are_nobodys_business(world, django_user_model):
    world.run(world.inspect(photo_bytes()))
    Photo.objects.update(site=type(world.site).objects.create(name="Other", slug="other"))
    again = world.run(world.inspect(photo_bytes()))
    assert again.photos.get().duplicate_of_id is None


def test_served_copies_carry_no_exif(world):
    from PIL import Image

    from inspection.services.intake import fetch

    exif = Image.Exif()
    exif[0x010F] = "Maker of cameras"
    exif.get_ifd(0x8825)[1] = "N"
    done = world.run(world.inspect(photo_bytes(kind="JPEG", exif=exif)))
    photo = done.photos.get()
    assert photo.exif["Make"] == "Maker of cameras"
    for key in (photo.view_key, photo.thumb_key):
        assert b"Maker of cameras" not in fetch(key)
        assert b"Exif" not in fetch(key)


def test_without_a_plan_the_only_plan_is_taken(world):
    done = world.run(world.inspect(photo_bytes(), plan=None))
    assert done.plan == world.plan
    assert done.plan_version == world.plan.current
    assert done.status == InspectionStatus.DECIDED


def test_where_no_plan_fits_clearly_a_person_is_asked_for_it(world):
    from pipeline_world import make_plan

    for number in range(3):
        make_plan(world.site, PLAN | {"name": f"Other {number}"}, f"other-{number}")
    done = world.run(world.inspect(photo_bytes(), plan=None))
    assert (done.status, done.disposition) == ("review", "hold")
    assert "Choose the plan" in done.message


def test_a_site_without_plans_says_what_to_do(world):
    world.plan.is_active = False
    world.plan.save()
    done = world.run(world.inspect(photo_bytes(), plan=None))
    assert done.status == InspectionStatus.FAILED
    assert "Make one" in done.message


def test_photos_added_during_a_run_are_looked_at_afterwards(world):
    from inspection.pipeline import engine
    from inspection.services.inspections import add_photos, store_bytes

    inspection = world.inspect(photo_bytes(square=None))
    engine.advance(inspection.current_run_id, "intake")
    add_photos(inspection, [store_bytes(world.site, "late.png", photo_bytes())])
    first = world.run(inspection)
    assert first.current_run.number == 2
    done = world.run(first)
    assert [run.status for run in done.runs.all()] == ["done", "done"]
    assert done.disposition == "rework"
    assert done.findings.get().photo.name == "late.png"


def test_messages_go_out_only_when_the_queue_changes(world, django_capture_on_commit_callbacks):
    from inspection.pipeline import engine

    with django_capture_on_commit_callbacks(execute=True):
        inspection = world.inspect(photo_bytes())
    with django_capture_on_commit_callbacks(execute=True):
        engine.advance(inspection.current_run_id, "intake")
        engine.advance(inspection.current_run_id, "vision")
        engine.advance(inspection.current_run_id, "language")
    assert [queue for _, _, queue in world.woken.sent] == ["intake", "vision", "language"]
    assert StepRun.objects.filter(run=inspection.current_run, status="running").count() == 0
    assert Finding.objects.filter(inspection=inspection).count() == 1
    assert Inspection.objects.get(pk=inspection.pk).status == "decided"
