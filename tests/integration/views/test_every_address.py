"""Every address there is, asked by every role, by nobody and by the admin of another site."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from screen_world import ROLES, SECRET, Screens, jpeg, make_inspection, stored

from inspection.models import (
    DisputeLink,
    DisputePhoto,
    DisputeStatement,
    ExportJob,
    ImportJob,
    Inspection,
    ReportDocument,
    ReportLayout,
    SiteLogo,
)
from inspection.models.choices import ReviewReason
from inspection.services.comments import add_comment
from inspection.services.gold import make_gold
from inspection.services.queue import enqueue

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

DONE = {200, 201, 202, 204, 302, 304, 400, 409, 422}
"""What a member with the right role may be answered to a POST that says nothing."""


@dataclass(frozen=True)
class Expected:
    """``role``: the least that is let in, "" for everybody. ``own``: the address names a row of
    the site, so that a member of another one is answered 404. ``get`` and ``post``: what there
    is; the other method is answered 405. ``answer``: to a GET, and also fine to a POST that says
    nothing. ``post_role``: the least that may send, where more may look."""

    role: str = "operator"
    own: bool = False
    get: bool = True
    post: bool = False
    api: bool = False
    answer: int = 200
    post_role: str = ""


def page(role: str = "operator", **more: Any) -> Expected:
    return Expected(role, **more)


def act(role: str, **more: Any) -> Expected:
    return Expected(role, get=False, post=True, **more)


def api(**more: Any) -> Expected:
    return Expected(api=True, **more)


OPEN = Expected(role="")
ADDRESSES: dict[str, Expected] = {
    "": Expected(role="", answer=302),
    "healthz": OPEN,
    "robots.txt": OPEN,
    "favicon.ico": Expected(role="", answer=302),
    "sign-in/": Expected(role="", post=True),
    "sign-out/": Expected(role="", get=False, post=True),
    "password/": page(post=True),
    "switch-site/": act("operator", answer=404),
    "upload/": page(),
    "inspections/": page(),
    "inspections/live/": page(),
    "queue/": page("reviewer"),
    "queue/next/": page("reviewer", answer=302),
    "queue/fetch/": act("reviewer", answer=200),
    "queue/renew/": act("reviewer", answer=200),
    "queue/pass/": act("reviewer", answer=204),
    "queue/<uuid:pk>/take/": act("reviewer", own=True),
    "queue/<uuid:pk>/release/": act("reviewer", own=True),
    "queue/<uuid:pk>/hand-over/": act("reviewer", own=True),
    "queue/<uuid:pk>/due/": act("manager", own=True),
    "keys/": act("operator", answer=400),
    "inspections/<uuid:pk>/undo/": act("reviewer", own=True),
    "inspections/<uuid:pk>/": page(own=True),
    "inspections/<uuid:pk>/live/": page(own=True),
    "inspections/<uuid:pk>/decide/": act("reviewer", own=True),
    "inspections/<uuid:pk>/rerun/": act("manager", own=True),
    "inspections/<uuid:pk>/findings/<uuid:finding_pk>/": act("reviewer", own=True),
    "inspections/<uuid:pk>/cover": page(own=True),
    "inspections/<uuid:pk>/photos/<uuid:photo_pk>/draw/": page(own=True),
    "inspections/<uuid:pk>/photos/<uuid:photo_pk>/draw/state/": page(own=True),
    "inspections/<uuid:pk>/photos/<uuid:photo_pk>/draw/draft/": page("reviewer", own=True),
    "inspections/<uuid:pk>/photos/<uuid:photo_pk>/draw/heat.png": page(own=True, answer=404),
    "inspections/<uuid:pk>/photos/<uuid:photo_pk>/draw/tiles/<int:level>/<int:x>/<int:y>": page(
        own=True, answer=404
    ),
    "inspections/<uuid:pk>/photos/<uuid:photo_pk>/draw/sam/": act("reviewer", own=True),
    "inspections/<uuid:pk>/photos/<uuid:photo_pk>/draw/save/": act("reviewer", own=True),
    "inspections/<uuid:pk>/photos/<uuid:photo_pk>/draw/masks/<uuid:finding_pk>/": page(own=True),
    "inspections/<uuid:pk>/comments/": page(own=True, post=True),
    "inspections/<uuid:pk>/catalogue/": page(own=True),
    "inspections/<uuid:pk>/disputes/": page("reviewer", own=True, post=True),
    "inspections/<uuid:pk>/gold/": act("manager", own=True),
    "comments/<uuid:pk>/resolve/": act("operator", own=True),
    "disputes/": page("reviewer"),
    "disputes/<uuid:pk>/answer/": act("reviewer", own=True),
    "disputes/<uuid:pk>/revoke/": act("reviewer", own=True),
    "disputes/photos/<uuid:pk>/<str:kind>": page("reviewer", own=True),
    "dispute/<str:token>/": Expected(role="", post=True, answer=404),
    "dispute/<str:token>/photos/": Expected(role="", post=True, answer=404),
    "dispute/<str:token>/photos/<uuid:pk>/remove/": Expected(
        role="", get=False, post=True, answer=404
    ),
    "dispute/<str:token>/photos/<uuid:pk>/<str:kind>": Expected(role="", answer=404),
    "inbox/": page(),
    "inbox/read/": act("operator"),
    "inbox/<uuid:pk>/": page("admin", own=True, answer=302),
    "judging/agreement/": page("manager"),
    "judging/agreement.csv": page("manager"),
    "judging/gold/": page("manager"),
    "judging/gold/<uuid:pk>/retire/": act("manager", own=True),
    "judging/rejections/": page("reviewer"),
    "plans/<slug:key>/judging/": page("manager", own=True, post=True),
    "photos/<uuid:pk>/<str:kind>": page(own=True),
    "plans/": page(),
    "plans/new/": page("manager", post=True),
    "plans/import/": act("manager"),
    "plans/<slug:key>/": page(own=True, post=True, post_role="manager"),
    "plans/<slug:key>/plan.json": page(own=True),
    "plans/<slug:key>/switch/": act("manager", own=True),
    "plans/<slug:key>/versions/<int:number>/": page(own=True),
    "plans/<slug:key>/risk/": page("manager", own=True, post=True),
    "plans/<slug:key>/risk/off/": act("manager", own=True),
    "plans/<slug:key>/learning/": page("manager", own=True),
    "plans/<slug:key>/learning/job/": page("manager", own=True),
    "plans/<slug:key>/learning/start/": act("manager", own=True),
    "plans/<slug:key>/learning/cancel/": act("manager", own=True),
    "plans/<slug:key>/learning/<int:number>/": page("manager", own=True),
    "plans/<slug:key>/learning/<int:number>/labels/": page("manager", own=True),
    "plans/<slug:key>/learning/<int:number>/decide/": act("manager", own=True),
    "plans/<slug:key>/golden/": act("manager", own=True),
    "plans/<slug:key>/golden/<uuid:pk>/": page(own=True),
    "plans/<slug:key>/golden/<uuid:pk>/remove/": act("manager", own=True),
    "exports/": page("manager", post=True),
    "exports/<uuid:pk>/row/": page("manager", own=True),
    "exports/<uuid:pk>/act/": act("manager", own=True),
    "exports/<uuid:pk>/file/": page("manager", own=True, answer=302),
    "imports/": page("manager", post=True),
    "imports/<uuid:pk>/": page("manager", own=True),
    "imports/<uuid:pk>/state/": page("manager", own=True),
    "imports/<uuid:pk>/act/": act("manager", own=True),
    "reports/": page(),
    "reports/lot/": page("manager", post=True),
    "reports/layouts/": page("manager"),
    "reports/layouts/new/": page("manager", post=True),
    "reports/layouts/<uuid:pk>/": page("manager", own=True, post=True),
    "reports/layouts/<uuid:pk>/delete/": act("manager", own=True),
    "reports/logo.png": page("manager", post=True),
    "reports/logo/remove/": act("manager"),
    "reports/<uuid:pk>/": page(own=True),
    "reports/<uuid:pk>/state/": page(own=True),
    "reports/<uuid:pk>/mailings/": page(own=True),
    "reports/<uuid:pk>/report.pdf": page(own=True),
    "reports/<uuid:pk>/logo.png": page(own=True),
    "reports/<uuid:pk>/cancel/": act("operator", own=True),
    "reports/<uuid:pk>/delete/": act("operator", own=True),
    "reports/<uuid:pk>/send/": act("reviewer", own=True),
    "inspections/<uuid:pk>/report/": act("operator", own=True),
    "dashboards/": page("manager", answer=302),
    "dashboards/costs/": page("manager", post=True),
    "dashboards/<slug:page>/": page("manager"),
    "dashboards/<slug:page>/<slug:figure>.csv": page("manager"),
    "members/": page("admin", post=True),
    "members/<uuid:pk>/role/": act("admin", own=True),
    "members/<uuid:pk>/remove/": act("admin", own=True),
    "tokens/": page(post=True),
    "tokens/<uuid:pk>/revoke/": act("admin", own=True),
    "connectors/": page("admin"),
    "connectors/new/": page("admin", post=True),
    "connectors/<slug:key>/": page("admin", own=True, post=True),
    "connectors/<slug:key>/rotate/": act("admin", own=True),
    "connectors/<slug:key>/ping/": act("admin", own=True),
    "connectors/<slug:key>/switch/": act("admin", own=True),
    "deliveries/": page("manager"),
    "deliveries/<uuid:pk>/": page("manager", own=True),
    "deliveries/<uuid:pk>/resend/": act("manager", own=True),
    "actions/<uuid:pk>/approve/": act("manager", own=True),
    "actions/<uuid:pk>/cancel/": act("manager", own=True),
    "demo/receiver/": page(),
    "demo/receiver/<slug:slug>/hook": Expected(role="", get=False, post=True, answer=404),
    "api/v1/openapi.json": Expected(role="", post=True),
    "api/v1/docs": Expected(role="", post=True),
    "api/v1/uploads": api(),
    "api/v1/uploads/<uuidstr:upload_id>/chunks/<index>": api(own=True),
    "api/v1/uploads/<uuidstr:upload_id>/complete": api(own=True),
    "api/v1/uploads/<uuidstr:upload_id>": api(own=True),
    "api/v1/inspections": api(),
    "api/v1/inspections/<uuidstr:inspection_id>": api(own=True),
    "api/v1/inspections/<uuidstr:inspection_id>/rerun": api(own=True),
    "api/v1/plans": api(),
    "api/v1/": Expected(role="", answer=404),
}
OF_ONE_PERSON = ("tokens/<uuid:pk>/revoke/", "inbox/<uuid:pk>/")
"""Rows of the admin that others of the site are not told of."""


def walk(resolver: URLResolver, start: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        route = start + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route
        else:
            yield from walk(pattern, route)


def address(route: str, world: Screens) -> str:
    """The route with ids of rows of the site."""
    pk: dict[str, Any] = {
        "inspections/": world.inspection.pk,
        "photos/": world.photo.pk,
        "plans/": world.extra["golden"].pk,
        "members/": world.memberships["operator"].pk,
        "tokens/": world.extra["token"].pk,
        "deliveries/": world.extra["delivery"].pk,
        "actions/": world.extra["step"].pk,
    }
    first = route.partition("/")[0] + "/"
    if "<uuid:pk>" in route and first in ("comments/", "inbox/", "judging/"):
        pk[first] = judging_row(first, world)
    if "<uuid:pk>" in route and first in ("exports/", "imports/"):
        pk[first] = transfer_row(first, world)
    if first == "reports/":
        pk[first] = report_row(route, world)
    if first == "disputes/" and "<uuid:pk>" in route:
        link = dispute_link(world)
        pk[first] = dispute_photo(link).pk if "photos" in route else link.pk
    pk["dispute/"] = world.photo.pk
    if first == "queue/" and "<uuid:pk>" in route:
        pk[first] = enqueue(world.inspection, ReviewReason.ASKED).pk
    key = "tickets" if first == "connectors/" else world.plan.key
    for name, value in {
        "<uuid:pk>": pk.get(first),
        "<uuid:finding_pk>": world.findings[0].pk,
        "<uuid:photo_pk>": world.photo.pk,
        "<str:kind>": "view",
        "<str:token>": "x" * 48,
        "<slug:key>": key,
        "<slug:page>": "quality",
        "<slug:figure>": "defect-rate",
        "<slug:slug>": world.site.slug,
        "<int:number>": 1,
        "<int:level>": 0,
        "<int:x>": 0,
        "<int:y>": 0,
        "<uuidstr:upload_id>": world.extra["upload"].pk,
        "<uuidstr:inspection_id>": world.inspection.pk,
        "<index>": 0,
    }.items():
        route = route.replace(name, str(value))
    assert "<" not in route, route
    return "/" + route


def transfer_row(first: str, world: Screens) -> Any:
    """An export or an import of the site."""
    if first == "exports/":
        return ExportJob.objects.create(site=world.site, format="csv").pk
    job = ImportJob.objects.create(
        site=world.site, plan=world.plan, name="a.json", stored_key="k", size_bytes=1, sha256="0"
    )
    return job.pk


def report_row(route: str, world: Screens) -> Any:
    """A report that is done, with a logo; or a layout."""
    key = stored(jpeg())
    SiteLogo.objects.create(site=world.site, image_key=key, sha256="0" * 64, width=9, height=9)
    if route.startswith("reports/layouts/"):
        return ReportLayout.objects.create(site=world.site, name=SECRET, parts=["cover"]).pk
    done = {"status": "done", "head": {"blocks": []}, "pdf_key": key, "pages": 1}
    layout = {"name": SECRET, "parts": ["cover"], "paper": "a4", "footer": "", "logo": key}
    document = ReportDocument.objects.create(
        site=world.site, inspection=world.inspection, title=SECRET, layout=layout,
        units=[str(world.inspection.pk)], **done,
    )  # fmt: skip
    return document.pk


def judging_row(first: str, world: Screens) -> Any:
    """Made for one request: a comment that names the admin, their notice of it, a gold unit."""
    if first == "judging/":
        source = make_inspection(world.site, world.plan, reference=SECRET)
        decided = {"status": "decided", "decided_by": world.users["admin"]}
        Inspection.objects.filter(pk=source.pk).update(**decided)
        return make_gold(world.memberships["admin"], source).pk
    author = world.memberships["operator"]
    comment = add_comment(author, world.inspection, f"@lid-admin {SECRET}", "key")
    return comment.pk if first == "comments/" else comment.mentions.get().pk


def dispute_link(world: Screens) -> DisputeLink:
    made: DisputeLink = DisputeLink.objects.create(
        site=world.site, inspection=world.inspection, digest="d" * 64,
        expires_at=timezone.now() + timedelta(days=1), made_by=world.users["reviewer"],
    )  # fmt: skip
    return made


def dispute_photo(link: DisputeLink) -> DisputePhoto:
    """A photo that the party sent with a statement."""
    said = DisputeStatement.objects.create(
        site=link.site, link=link, number=1, reference="D-1", body="No.", draft=uuid4(),
        due_at=timezone.now(),
    )  # fmt: skip
    key = link.inspection.photos.get().view_key
    made: DisputePhoto = DisputePhoto.objects.create(
        site=link.site, link=link, statement=said, client_key="k", name="mine.jpg", sha256="a" * 64,
        size_bytes=1, status="ready", width=1, height=1, original_key=key, view_key=key,
        thumb_key=key,
    )  # fmt: skip
    return made


def test_every_address_has_an_expectation() -> None:
    there = {route.replace("^", "") for route in walk(get_resolver())}
    assert there - set(ADDRESSES) == set(), "say in ADDRESSES who may open the new ones"
    assert set(ADDRESSES) - there == set(), "these are gone"


def ask(client: Client, method: str, route: str, world: Screens) -> HttpResponse:
    """Send it, and undo whatever it did."""
    with transaction.atomic():
        body = {"data": "{}", "content_type": "application/json"} if "api/" in route else {}
        answer = getattr(client, method)(
            address(route, world), **(body if method == "post" else {})
        )
        if answer.streaming:
            list(answer.streaming_content)
        transaction.set_rollback(True)
    return answer


def problems(who: str, world: Screens) -> Iterator[str]:
    for route, expected in ADDRESSES.items():
        for method in ("get", "post"):
            answer = ask(world.client(who), method, route, world)
            wanted = statuses(who, expected, method, route)
            if answer.status_code not in wanted:
                yield f"{method} {route}: {answer.status_code}, not {sorted(wanted)}"
            if who in ("stranger", "anonymous") and tells(answer):
                yield f"{method} {route} tells of another site"


def tells(answer: HttpResponse) -> bool:
    return not answer.streaming and SECRET.encode() in answer.content


def statuses(who: str, expected: Expected, method: str, route: str) -> set[int]:
    """What may be answered."""
    there = expected.post if method == "post" else expected.get
    if expected.role == "":
        return {expected.answer, *DONE} if there else {405, 302, 404}
    if expected.api:
        return api_statuses(who, expected)
    if who == "anonymous":
        return {302} if there else {302, 405}
    if who == "stranger":
        return {404} if expected.own and there else {405, *DONE, 404}
    if not there:
        return {405, 403}
    role = expected.post_role if method == "post" and expected.post_role else expected.role
    if ROLES.index(who) < ROLES.index(role):
        return {404} if route in OF_ONE_PERSON else {403}
    return {expected.answer} if method == "get" else {expected.answer, *DONE}


def api_statuses(who: str, expected: Expected) -> set[int]:
    if who == "anonymous":
        return {401, 405}
    if who == "stranger" and expected.own:
        return {404, 405}
    return {405, 403, *DONE}


@pytest.mark.parametrize("who", ["anonymous", "stranger", *ROLES])
def test_each_address_lets_in_whom_it_should_and_nobody_else(who: str, screens: Screens) -> None:
    assert list(problems(who, screens)) == []


def test_a_photo_is_only_for_its_site_and_the_original_only_for_reviewers(
    screens: Screens,
) -> None:
    start = f"/photos/{screens.photo.pk}"
    for kind in ("view", "thumb", "original"):
        assert screens.client("stranger").get(f"{start}/{kind}").status_code == 404
    assert screens.client("operator").get(f"{start}/original").status_code == 403
    answer = screens.client("reviewer").get(f"{start}/original")
    assert answer.status_code == 200
    assert answer["Content-Disposition"] == 'attachment; filename="lid.jpg"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert b"".join(answer.streaming_content).startswith(b"\xff\xd8")


def test_exif_with_the_place_is_not_shown_to_operators(screens: Screens) -> None:
    page = f"/inspections/{screens.inspection.pk}/"
    assert "47.37" in screens.client("reviewer").get(page).content.decode()
    assert "47.37" not in screens.client("operator").get(page).content.decode()


def test_a_htmx_request_of_somebody_signed_out_goes_to_the_sign_in_page(screens: Screens) -> None:
    page = f"/inspections/{screens.inspection.pk}/live/"
    answer = Client().get(page, headers={"HX-Request": "true"})
    assert answer["HX-Redirect"].startswith("/sign-in/?next=")


def test_pages_forbid_inline_scripts_and_styles(screens: Screens) -> None:
    answer = screens.client("reviewer").get(f"/inspections/{screens.inspection.pk}/")
    policy = answer["Content-Security-Policy"]
    assert "script-src 'self';" in policy + ";"
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy
    body = answer.content.decode()
    assert " style=" not in body
    assert "onclick=" not in body
