"""The same unit, photographed again: what is new, what was there, what is worse, what is fixed."""

from __future__ import annotations

import pytest
from pipeline_world import make_member, make_plan, photo_bytes

from inspection.actions.act import findings_in_force
from inspection.models import Finding, Inspection, Photo, Site
from inspection.models.choices import Role
from inspection.pipeline import photos
from inspection.pipeline.settle import in_force
from inspection.selectors.earlier import earlier_choices, earlier_inspection
from inspection.services import reviews
from inspection.services.earlier import EarlierRefusedError, choose_earlier
from inspection.services.intake import remove
from inspection.services.runs import start_run

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

HOLE, GROWN, OTHER = (20, 30, 60, 70), (20, 30, 80, 95), (120, 80, 150, 110)


def inspected(world, square, reference="LID-7", **options):
    data = photo_bytes(square, shade=options.pop("shade", 255))
    return world.run(world.inspect(data, reference=reference, **options))


def histories(inspection):
    return sorted(inspection.findings.values_list("history", flat=True))


def test_a_first_inspection_has_no_past(world):
    first = inspected(world, HOLE)
    assert histories(first) == ["new"]
    assert "earlier" not in first.current_run.steps.get(step="segment").output


def test_what_was_there_before_is_told_and_not_hidden(world):
    first = inspected(world, HOLE)
    again = inspected(world, HOLE, shade=250)
    (finding,) = again.findings.all()
    assert finding.history == "pre_existing"
    assert finding.earlier == first.findings.get()
    assert finding in findings_in_force(again)
    told = again.current_run.steps.get(step="segment").output["earlier"]
    assert told["inspection"] == str(first.pk)
    assert len(told["photos"]) == 1


def test_what_has_come_is_new(world):
    inspected(world, None)
    assert histories(inspected(world, HOLE, shade=250)) == ["new"]


def test_what_has_grown_is_worse(world):
    inspected(world, HOLE)
    assert histories(inspected(world, GROWN, shade=250)) == ["worse"]


def test_what_is_gone_is_fixed_and_counts_no_more(world):
    first = inspected(world, HOLE)
    repaired = inspected(world, None, shade=250)
    (finding,) = repaired.findings.all()
    assert (finding.history, finding.source) == ("fixed", "earlier")
    assert finding.earlier == first.findings.get()
    assert finding.x1 == pytest.approx(20, abs=3)
    assert finding.mask_counts
    assert in_force(repaired.current_run) == ()
    assert findings_in_force(repaired) == []
    assert repaired.disposition == "accept"


def test_a_person_who_says_that_it_is_still_there_is_heard(world):
    inspected(world, HOLE)
    repaired = inspected(world, None, shade=250)
    finding = repaired.findings.get()
    reviews.confirm_finding(make_member(world.site, Role.REVIEWER), finding, "key-1")
    assert findings_in_force(repaired) == [finding]
    start_run(repaired, None)
    again = world.run(repaired)
    finding.refresh_from_db()
    assert finding.status == "confirmed"
    assert list(again.findings.all()) == [finding]
    assert [value.id for value in in_force(again.current_run)] == [str(finding.pk)]


def test_a_rerun_never_turns_a_judged_finding_into_a_fixed_one(world):
    unit = inspected(world, HOLE)
    finding = unit.findings.get()
    reviews.confirm_finding(make_member(world.site, Role.REVIEWER), finding, "key-1")
    before = inspected(world, OTHER, reference="LID-8")
    choose_earlier(unit, before.pk)
    start_run(unit, None)
    unit = world.run(unit)
    finding.refresh_from_db()
    assert (finding.status, finding.type) == ("confirmed", "hole")
    assert finding.history == "new"
    assert histories(unit) == ["fixed", "new"]


def test_what_a_person_rejected_before_is_not_carried_over(world):
    first = inspected(world, HOLE)
    reviews.reject_finding(make_member(world.site, Role.REVIEWER), first.findings.get(), "key-1")
    assert histories(inspected(world, None, shade=250)) == []


def test_only_the_same_unit_of_the_same_plan_and_site_is_compared_with(world):
    inspected(world, HOLE, reference="LID-8")
    inspected(world, HOLE, reference="")
    inspected(world, HOLE, plan=make_plan(world.site, key="caps"))
    other = Site.objects.create(name="Elsewhere", slug="elsewhere")
    foreign = inspected(world, HOLE)
    Inspection.objects.filter(pk=foreign.pk).update(site=other)
    unit = inspected(world, HOLE, shade=250)
    assert earlier_inspection(unit) is None
    assert earlier_inspection(Inspection.objects.get(reference="")) is None
    assert histories(unit) == ["new"]


def test_the_newest_is_found_and_an_explicit_choice_beats_it(world):
    first, second = inspected(world, HOLE), inspected(world, None, shade=250)
    unit = inspected(world, HOLE, shade=245)
    assert earlier_inspection(unit) == second
    assert histories(unit) == ["new"]
    assert earlier_choices(unit) == [second, first]
    choose_earlier(unit, first.pk)
    start_run(unit, None)
    assert histories(world.run(unit)) == ["pre_existing"]
    choose_earlier(unit, None)
    assert earlier_inspection(unit) == second


def test_a_choice_that_can_not_be_is_refused(world):
    unit = inspected(world, HOLE)
    foreign = inspected(world, HOLE, reference="X")
    Inspection.objects.filter(pk=foreign.pk).update(
        site=Site.objects.create(name="Elsewhere", slug="elsewhere")
    )
    for wrong in (unit.pk, foreign.pk):
        with pytest.raises(EarlierRefusedError, match=r"Choose"):
            choose_earlier(unit, wrong)
    unit.refresh_from_db()
    assert unit.earlier_id is None


def test_an_earlier_photo_whose_file_is_gone_hinders_nobody(world):
    first = inspected(world, HOLE)
    key = Photo.objects.get(inspection=first).original_key
    remove([key])
    photos._kept = photos._Kept(photos.KEPT_BYTES)
    again = inspected(world, HOLE, shade=250)
    assert again.status == "decided"
    assert histories(again) == ["new"]
    assert again.current_run.steps.get(step="segment").output["earlier"]["photos"] == {}


def test_an_earlier_inspection_that_is_deleted_takes_nothing_with_it(world):
    first = inspected(world, HOLE)
    again = inspected(world, HOLE, shade=250)
    Finding.objects.filter(inspection=first).delete()
    (finding,) = again.findings.all()
    assert (finding.history, finding.earlier) == ("pre_existing", None)


def test_photos_of_other_things_are_not_compared(world, rng_photo):
    world.run(world.inspect(rng_photo(1), reference="LID-7"))
    unit = world.run(world.inspect(rng_photo(2), reference="LID-7"))
    assert unit.current_run.steps.get(step="segment").output["earlier"]["photos"] == {}
    assert set(histories(unit)) <= {"new"}


@pytest.fixture
def rng_photo():
    import io

    import numpy as np
    from PIL import Image

    def draw(seed):
        coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3)).astype(np.uint8)
        out = io.BytesIO()
        Image.fromarray(coarse).resize((200, 150), Image.Resampling.BICUBIC).save(out, "PNG")
        return out.getvalue()

    return draw


def test_what_a_person_said_was_still_there_goes_on(world):
    inspected(world, HOLE)
    second = inspected(world, None, shade=250)
    told = second.findings.get()
    reviews.confirm_finding(make_member(world.site, Role.REVIEWER), told, "key-1")
    third = inspected(world, None, shade=245)
    (finding,) = third.findings.all()
    assert (finding.history, finding.earlier, finding.confidence) == ("pre_existing", told, 1.0)


def test_what_was_fixed_is_told_once(world):
    inspected(world, HOLE)
    inspected(world, None, shade=250)
    assert histories(inspected(world, None, shade=245)) == []
