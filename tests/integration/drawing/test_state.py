"""What the drawing page is told of a photo."""

from __future__ import annotations

import json
import re

import pytest
from screen_world import Screens, make_inspection, make_photo

from inspection.models import Finding, Inspection, Photo

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def address(world: Screens, more: str = "") -> str:
    return f"/inspections/{world.inspection.pk}/photos/{world.photo.pk}/draw/{more}"


def test_the_page_carries_what_the_editor_needs(screens: Screens) -> None:
    body = screens.client("reviewer").get(address(screens)).content.decode()
    found = re.search(r'<script id="drawing" type="application/json">(.*?)</script>', body, re.S)
    assert found
    told = json.loads(found[1])
    assert (told["photo"]["width"], told["photo"]["height"]) == (200, 150)
    assert told["photo"]["tiles"] is None
    assert (told["can_edit"], told["why_not"]) == (True, "")
    assert [one["name"] for one in told["types"]] == ["dent", "scratch"]
    assert told["types"][0]["definition"] == "Pressed in"
    assert len({one["color"] for one in told["types"]}) == 2
    assert told["session_urls"]["state"] == address(screens, "state/")
    assert told["session_urls"]["unit"] == f"/inspections/{screens.inspection.pk}/"


def test_an_operator_looks_but_may_not_draw(screens: Screens) -> None:
    body = screens.client("operator").get(address(screens)).content.decode()
    assert '"can_edit": false' in body
    assert "Only reviewers draw" in body


def test_findings_are_numbered_as_on_the_page_of_the_unit(screens: Screens) -> None:
    Finding.objects.filter(pk=screens.findings[0].pk).update(
        photo=make_photo(screens.inspection, 1)
    )
    (shape,) = screens.client("reviewer").get(address(screens, "state/")).json()["findings"]
    assert shape["id"] == str(screens.findings[1].pk)
    assert shape["number"] == 2
    assert shape["box"] == [50, 20, 30, 20]
    assert shape["mask"] == {"size": [150, 200], "counts": screens.findings[1].mask_counts}


def test_masks_come_one_by_one_where_the_editor_asks(screens: Screens) -> None:
    client = screens.client("reviewer")
    shapes = client.get(address(screens, "state/?masks=0")).json()["findings"]
    assert all("mask" not in shape and shape["has_mask"] for shape in shapes)
    for shape in shapes:
        one = client.get(address(screens, f"masks/{shape['id']}/")).json()
        assert one["mask"]["size"] == [150, 200]
        assert one["was"] == shape["was"]
        assert one["model"] is None


def test_the_earlier_photo_that_looks_most_alike_is_offered_with_its_findings(
    screens: Screens,
) -> None:
    before = make_inspection(screens.site, screens.plan, reference="twin", findings=3)
    Inspection.objects.filter(pk=screens.inspection.pk).update(earlier=before)
    Photo.objects.filter(pk=screens.photo.pk).update(perceptual_hash=0b1111)
    Photo.objects.filter(inspection=before).update(perceptual_hash=-1)
    like = make_photo(before, 1)
    Photo.objects.filter(pk=like.pk).update(perceptual_hash=0b1110)
    Finding.objects.filter(inspection=before, key="f1").update(photo=like)
    told = screens.client("reviewer").get(address(screens, "state/")).json()["earlier"]
    assert told["photo"]["view_url"] == f"/photos/{like.pk}/view"
    assert [shape["type"] for shape in told["findings"]] == ["scratch"]
    assert told["taken_at"] == before.created_at.isoformat()


def test_golden_photos_are_offered_by_name(screens: Screens) -> None:
    (golden,) = screens.client("reviewer").get(address(screens, "state/")).json()["golden"]
    assert golden["label"] == "sound.jpg"
    photo = screens.client("reviewer").get(golden["view_url"])
    assert b"".join(photo.streaming_content).startswith(b"\xff\xd8")


@pytest.mark.parametrize("more", ["", "state/", "masks/{finding}/"])
def test_ids_that_do_not_belong_together_are_not_found(screens: Screens, more: str) -> None:
    other = make_inspection(screens.site, screens.plan)
    client = screens.client("admin")
    more = more.format(finding=screens.findings[0].pk)
    mixed = f"/inspections/{screens.inspection.pk}/photos/{other.photos.get().pk}/draw/{more}"
    assert client.get(mixed).status_code == 404
    mixed = f"/inspections/{other.pk}/photos/{screens.photo.pk}/draw/{more}"
    assert client.get(mixed).status_code == 404
    assert screens.client("stranger").get(address(screens, more)).status_code == 404


def test_the_mask_of_another_photo_or_of_a_sealed_word_is_not_found(screens: Screens) -> None:
    client = screens.client("reviewer")
    Finding.objects.filter(pk=screens.findings[0].pk).update(is_sealed=True)
    Finding.objects.filter(pk=screens.findings[1].pk).update(
        photo=make_photo(screens.inspection, 1)
    )
    for finding in screens.findings:
        assert client.get(address(screens, f"masks/{finding.pk}/")).status_code == 404


def test_a_photo_that_is_not_decoded_can_not_be_drawn_on(screens: Screens) -> None:
    Photo.objects.filter(pk=screens.photo.pk).update(status="received")
    assert screens.client("reviewer").get(address(screens)).status_code == 404
