"""The HTTP API as an integrator and the upload page use it."""

from __future__ import annotations

import hashlib
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pipeline_world import make_member, make_plan, photo_bytes

from inspection.models import ApiToken, Inspection, Site
from inspection.models.choices import Role
from inspection.services import uploads

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
JSON = "application/json"


def caller(membership, **options):
    """A client that sends a token of this membership."""
    token = uuid.uuid4().hex
    ApiToken.objects.create(
        site=membership.site,
        membership=membership,
        name="test",
        prefix=token[:8],
        digest=hashlib.sha256(token.encode()).hexdigest(),
        **options,
    )
    return Client(headers={"Authorization": f"Bearer {token}"}, enforce_csrf_checks=True)


@pytest.fixture
def api(world):
    return caller(world.operator)


def begin(api, data, **options):
    given = {"batch": str(uuid.uuid4()), "client_key": "k", "name": "p.png", "size": len(data)}
    return api.post("/api/v1/uploads", given | options, content_type=JSON)


def put(api, upload, index, data):
    return api.put(
        f"/api/v1/uploads/{upload}/chunks/{index}", data, content_type="application/octet-stream"
    )


def test_a_file_goes_up_is_completed_and_followed_to_its_verdict(world, api):
    data = photo_bytes()
    batch = str(uuid.uuid4())
    upload = begin(api, data, batch=batch, plan="lids", reference="SN-7").json()
    assert upload["status"] == "receiving"
    assert upload["chunk_bytes"] == 4_000_000
    assert put(api, upload["id"], 0, data).status_code == 204
    assert begin(api, data, batch=batch).json()["received"] == [0]
    done = api.post(f"/api/v1/uploads/{upload['id']}/complete").json()
    assert done["status"] == "received"
    uploads.receive(uuid.UUID(done["id"]))
    unit = Inspection.objects.get()
    world.run(unit)
    (row,) = api.get("/api/v1/uploads", {"batch": batch}).json()
    assert row["inspection"] == str(unit.pk)
    assert (row["inspection_status"], row["disposition"]) == ("decided", "rework")


def test_a_photo_that_cannot_be_decoded_says_so_in_the_list_of_the_batch(world, api):
    data = photo_bytes()[:400]
    batch = str(uuid.uuid4())
    upload = begin(api, data, batch=batch).json()
    put(api, upload["id"], 0, data)
    api.post(f"/api/v1/uploads/{upload['id']}/complete")
    uploads.receive(uuid.UUID(upload["id"]))
    world.run(Inspection.objects.get())
    (row,) = api.get("/api/v1/uploads", {"batch": batch}).json()
    assert row["inspection_status"] == "failed"
    assert "damaged" in row["message"]


def test_an_inspection_is_made_from_photos_in_one_request(world, api):
    photos = [SimpleUploadedFile(f"{n}.png", photo_bytes((n, 9, n + 20, 40))) for n in (1, 2)]
    made = api.post(
        "/api/v1/inspections", {"photos": photos, "plan": "lids", "reference": "A", "note": "n"}
    )
    assert made.status_code == 201, made.content
    world.run(Inspection.objects.get())
    unit = api.get(f"/api/v1/inspections/{made.json()['id']}").json()
    assert unit["status"] == "decided"
    assert [photo["name"] for photo in unit["photos"]] == ["1.png", "2.png"]
    assert len(unit["findings"]) == 2
    assert unit["findings"][0]["mask"]["size"] == [150, 200]
    assert (unit["findings"][0]["length_px"], unit["findings"][0]["length_mm"]) == (31.0, None)
    assert {step["step"] for step in unit["steps"]} >= {"intake", "extract", "triage"}
    assert unit["report"]["claims"]


def test_lists_are_paged_and_narrowed(world, api):
    first = world.run(world.inspect(photo_bytes(), reference="needle"))
    world.inspect(photo_bytes(square=None))
    page = api.get("/api/v1/inspections", {"q": "needle"}).json()
    assert [row["id"] for row in page["items"]] == [str(first.pk)]
    assert page["next"] is None
    assert page["items"][0]["findings"] == 1
    assert api.get("/api/v1/inspections", {"status": "received"}).json()["items"][0]["photos"] == 1


def test_the_plans_are_listed(world, api):
    (plan,) = api.get("/api/v1/plans").json()
    assert (plan["key"], plan["version"], plan["spec"]["name"]) == ("lids", 1, "Lids")


def test_only_a_manager_runs_again(world, api):
    unit = world.run(world.inspect(photo_bytes()))
    address = f"/api/v1/inspections/{unit.pk}/rerun"
    refused = api.post(address, {}, content_type=JSON)
    assert refused.status_code == 403
    assert "manager" in refused.json()["message"]
    manager = caller(make_member(world.site, Role.MANAGER))
    started = manager.post(address, {}, content_type=JSON)
    assert (started.status_code, started.json()["number"]) == (202, 2)


def test_nothing_of_another_site_is_there(world):
    unit = world.run(world.inspect(photo_bytes()))
    other = Site.objects.create(name="Other", slug="other")
    make_plan(other, key="theirs")
    stranger = caller(make_member(other, Role.ADMIN))
    data = photo_bytes()
    mine = begin(caller(world.operator), data).json()
    assert stranger.get(f"/api/v1/inspections/{unit.pk}").status_code == 404
    assert stranger.get(f"/api/v1/uploads/{mine['id']}").status_code == 404
    assert put(stranger, mine["id"], 0, data).status_code == 404
    assert stranger.get("/api/v1/uploads", {"batch": mine["batch"]}).json() == []
    assert stranger.get("/api/v1/inspections").json()["items"] == []
    assert [plan["key"] for plan in stranger.get("/api/v1/plans").json()] == ["theirs"]
    assert begin(stranger, data, plan="lids").status_code == 422
    rerun = stranger.post(f"/api/v1/inspections/{unit.pk}/rerun", {}, content_type=JSON)
    assert rerun.status_code == 404


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer ", "Basic eDp5", "nonsense"])
def test_a_wrong_token_is_told_as_such(world, header):
    answer = Client(headers={"Authorization": header}).get("/api/v1/plans")
    assert answer.status_code == 401
    assert "token" in answer.json()["message"]


def test_a_revoked_token_no_longer_works(world):
    from django.utils import timezone

    revoked = caller(world.operator, revoked_at=timezone.now())
    assert revoked.get("/api/v1/plans").status_code == 401


def test_a_signed_in_page_needs_the_csrf_token_to_change_anything(world):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(world.operator.user)
    assert browser.get("/api/v1/plans").status_code == 200
    assert begin(browser, b"12345").status_code == 403
    easy = Client()
    easy.force_login(world.operator.user)
    assert begin(easy, b"12345").status_code == 200


@pytest.mark.parametrize(
    ("given", "status", "told"),
    [
        ({"size": -1}, 422, "size"),
        ({"batch": "no"}, 422, "batch"),
        ({"client_key": "a\0b"}, 422, "client_key"),
        ({"plan": "missing"}, 422, "There is no plan 'missing'. There are: lids."),
    ],
)
def test_errors_say_where_and_what(api, given, status, told):
    answer = begin(api, b"12345", **given)
    assert answer.status_code == status
    assert told in str(answer.json())


def test_a_wrong_chunk_is_answered_in_json(api):
    upload = begin(api, b"12345").json()["id"]
    assert put(api, upload, 0, b"123").status_code == 409
    assert put(api, upload, 0, b"x" * 7_000_000).status_code == 413
    assert put(api, upload, -1, b"12345").status_code == 422
    missing = api.post(f"/api/v1/uploads/{upload}/complete")
    assert (missing.status_code, "missing: 0" in missing.json()["message"]) == (409, True)


def test_a_file_that_is_no_photo_is_refused_with_its_name(api):
    photos = [SimpleUploadedFile("bill.pdf", b"%PDF-1.4 x")]
    answer = api.post("/api/v1/inspections", {"photos": photos})
    assert answer.status_code == 422
    assert answer.json()["message"].startswith("bill.pdf: This file is a PDF")
    assert not Inspection.objects.exists()


def test_the_description_and_its_page_are_there_without_inline_script(client):
    described = client.get("/api/v1/openapi.json").json()
    assert "/api/v1/uploads" in described["paths"]
    page = client.get("/api/v1/docs")
    assert page.status_code == 200
    assert b"cdn" not in page.content
    assert b"<script>" not in page.content


def test_what_to_compare_with_is_chosen_at_the_start_and_for_a_rerun(world):
    manager = caller(make_member(world.site, Role.MANAGER))
    first = world.run(world.inspect(photo_bytes(), reference="A"))
    photo = SimpleUploadedFile("a.png", photo_bytes(shade=250))
    given = {"photos": photo, "plan": "lids", "earlier": str(first.pk)}
    made = manager.post("/api/v1/inspections", given)
    assert made.status_code == 201, made.content
    world.run(Inspection.objects.get(pk=made.json()["id"]))
    address = f"/api/v1/inspections/{made.json()['id']}"
    unit = manager.get(address).json()
    assert unit["earlier"] == str(first.pk)
    assert unit["findings"][0]["history"] == "pre_existing"
    assert unit["findings"][0]["earlier"] == str(first.findings.get().pk)
    other = world.run(world.inspect(photo_bytes(), reference="B"))
    rerun = manager.post(f"{address}/rerun", {"earlier": str(other.pk)}, content_type=JSON)
    assert rerun.status_code == 202, rerun.content
    assert manager.get(address).json()["earlier"] == str(other.pk)


def test_what_can_not_be_compared_with_is_refused(world):
    manager = caller(make_member(world.site, Role.MANAGER))
    unit = world.inspect(photo_bytes())
    foreign = world.inspect(photo_bytes())
    elsewhere = Site.objects.create(name="Elsewhere", slug="elsewhere")
    Inspection.objects.filter(pk=foreign.pk).update(site=elsewhere)
    photo = SimpleUploadedFile("a.png", photo_bytes())
    address = f"/api/v1/inspections/{unit.pk}/rerun"
    answers = [
        manager.post("/api/v1/inspections", {"photos": photo, "earlier": str(foreign.pk)}),
        manager.post(address, {"earlier": str(foreign.pk)}, content_type=JSON),
        manager.post(address, {"earlier": str(unit.pk)}, content_type=JSON),
    ]
    assert [answer.status_code for answer in answers] == [422] * 3
    words = [answer.content.decode() for answer in answers]
    assert all("earlier: " in text and "Choose " in text for text in words)
    assert Inspection.objects.for_site(world.site).count() == 1
