"""Plans: edited by new versions, with golden photos, as files."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from screen_world import SPEC, Screens, jpeg

from inspection.forms.plan import PlanForm
from inspection.models import GoldenPhoto, Plan, PlanVersion
from inspection.services import plans
from models_runtime.plans import PlanSpec

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def sent(spec: dict[str, object]) -> dict[str, object]:
    """The editor's fields for a plan without rows but the defects."""
    form = PlanForm.of(PlanSpec.model_validate(spec))
    data = {name: "" if value is None else value for name, value in form.values.items()}
    for row in form.rows["defects"]:
        for name in ("key", "name", "severity"):
            data[f"defects-{row['index']}-{name}"] = row[name]
    return data


def test_saving_makes_a_new_version_and_leaves_the_old_one(screens: Screens) -> None:
    client = screens.client("manager")
    answer = client.post("/plans/lids/", sent(SPEC) | {"name": "Steel lids, wide", "based_on": "1"})
    assert answer.status_code == 302
    plan = Plan.objects.get(pk=screens.plan.pk)
    assert (plan.name, plan.current.number) == ("Steel lids, wide", 2)
    assert plan.versions.get(number=1).spec["name"] == "Steel lids"
    screens.inspection.refresh_from_db()
    assert screens.inspection.plan_version.number == 1


def test_saving_the_same_again_makes_no_version(screens: Screens) -> None:
    spec = screens.plan.current.parsed()
    version = plans.save_plan(screens.memberships["manager"], screens.plan, spec, based_on=1)
    assert version.number == 1
    assert PlanVersion.objects.count() == 1


def test_two_people_at_one_plan_don_t_overwrite_each_other(screens: Screens) -> None:
    client = screens.client("manager")
    first = sent(SPEC) | {"description": "first", "based_on": "1"}
    assert client.post("/plans/lids/", first).status_code == 302
    answer = client.post("/plans/lids/", sent(SPEC) | {"description": "second", "based_on": "1"})
    assert answer.status_code == 409
    assert "Somebody saved version 2" in answer.content.decode()
    assert screens.plan.versions.count() == 2


def test_an_error_is_shown_beside_its_field_and_nothing_is_saved(screens: Screens) -> None:
    answer = screens.client("manager").post("/plans/lids/", sent(SPEC) | {"defects-0-name": ""})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert 'id="defects-0-name-error"' in page
    assert 'aria-describedby="defects-0-name-error"' in page
    assert screens.plan.versions.count() == 1


def test_a_reviewer_reads_plans_but_does_not_change_them(screens: Screens) -> None:
    client = screens.client("reviewer")
    assert "disabled" in client.get("/plans/lids/").content.decode()
    assert client.post("/plans/lids/", sent(SPEC)).status_code == 403


def test_a_plan_goes_out_as_a_file_and_comes_in_at_another_site(screens: Screens) -> None:
    text = screens.client("reviewer").get("/plans/lids/plan.json").content
    assert json.loads(text)["format"] == "loupe.plan/1"
    file = SimpleUploadedFile("plan.json", text)
    answer = screens.client("stranger").post("/plans/import/", {"file": file})
    assert answer.status_code == 302
    copy = Plan.objects.get(site=screens.elsewhere)
    assert copy.current.spec == screens.plan.current.spec


@pytest.mark.parametrize("data", [b"", b"[]", b'{"name": ""}', b"\xff\xd8\xff", b'{"name": 3}'])
def test_a_file_that_is_no_plan_is_refused_with_words(screens: Screens, data: bytes) -> None:
    client = screens.client("manager")
    answer = client.post("/plans/import/", {"file": SimpleUploadedFile("x", data)}, follow=True)
    assert answer.status_code == 200
    assert Plan.objects.count() == 1
    assert 'class="toast error"' in answer.content.decode()


def test_golden_photos_are_kept_once_and_removed(
    screens: Screens, django_capture_on_commit_callbacks: object
) -> None:
    client, data = screens.client("manager"), jpeg(seed=9)
    for _ in range(2):
        client.post("/plans/lids/golden/", {"photos": SimpleUploadedFile("sound.jpg", data)})
    added = GoldenPhoto.objects.exclude(pk=screens.extra["golden"].pk).get()
    shown = client.get(f"/plans/lids/golden/{added.pk}/")
    assert shown["Content-Type"] == "image/jpeg"
    list(shown.streaming_content)
    with django_capture_on_commit_callbacks(execute=True):
        client.post(f"/plans/lids/golden/{added.pk}/remove/")
    assert not GoldenPhoto.objects.filter(pk=added.pk).exists()


def test_what_is_no_photo_does_not_become_golden(screens: Screens) -> None:
    file = SimpleUploadedFile("sound.jpg", b"not a photo at all")
    answer = screens.client("manager").post("/plans/lids/golden/", {"photos": file}, follow=True)
    assert GoldenPhoto.objects.count() == 1
    assert 'class="toast error"' in answer.content.decode()
