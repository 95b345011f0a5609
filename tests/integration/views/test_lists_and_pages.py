"""What the list finds, and that pages ask the database no more the more there is to show."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from screen_world import SECRET, Screens, make_finding, make_inspection, make_photo

from inspection.models import Inspection
from inspection.selectors import inspections as reads

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def queries(world: Screens, address: str) -> int:
    client = world.client("reviewer")
    client.get(address)
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert client.get(address).status_code == 200
    return len(seen)


@pytest.mark.parametrize("address", ["/inspections/", "/inspections/?view=table", "/upload/"])
def test_a_longer_list_takes_no_more_queries(screens: Screens, address: str) -> None:
    before = queries(screens, address)
    for number in range(8):
        make_inspection(screens.site, screens.plan, reference=f"Lid {number}")
    assert queries(screens, address) == before
    assert before <= 14


def test_more_findings_and_photos_take_no_more_queries(screens: Screens) -> None:
    address = f"/inspections/{screens.inspection.pk}/"
    before = queries(screens, address)
    photo = make_photo(screens.inspection, position=1)
    for number in range(2, 14):
        row = make_finding(screens.inspection, photo, screens.run, number)
        row.history, row.earlier = "worse", screens.findings[0]
        row.save()
    assert queries(screens, address) == before
    assert before <= 30


def found(world: Screens, query: str) -> list[str]:
    wanted = reads.InspectionFilter.parse(
        dict(part.split("=", 1) for part in query.split("&") if part)
    )
    return [row.reference for row in reads.list_inspections(world.site, wanted).rows]


def test_the_list_is_found_by_words_and_their_beginnings(screens: Screens) -> None:
    make_inspection(screens.site, screens.plan, reference="SC-4410/b")
    for query in ("q=vault", "q=VAULT door", "q=4711", "q=doo"):
        assert found(screens, query) == [SECRET]
    assert found(screens, "q=sc-44") == ["SC-4410/b"]
    assert found(screens, "q=vault 4410") == []
    for odd in ("'", "\\", "a & | !", ":*", "\0", "<->"):
        wanted = reads.InspectionFilter.parse({"q": odd})
        assert isinstance(reads.list_inspections(screens.site, wanted).rows, list)


def test_filters_narrow_the_list_and_senseless_ones_are_left_out(screens: Screens) -> None:
    make_inspection(screens.site, screens.plan, reference="running", status="running")
    assert found(screens, "status=running") == ["running"]
    assert found(screens, "disposition=rework") == [SECRET]
    assert found(screens, "severity=critical") == []
    assert found(screens, "plan=lids&status=review") == [SECRET]
    assert len(found(screens, "status=nonsense&after=x&like=y")) == 2


def test_the_most_alike_come_first_and_only_from_the_own_site(screens: Screens) -> None:
    origin = np.array(Inspection.objects.get(pk=screens.inspection.pk).embedding)
    for name, share in (("far", 0.0), ("near", 0.9)):
        row = make_inspection(screens.site, screens.plan, reference=name)
        other = np.random.default_rng(5).normal(size=384)
        vector = share * origin + (1 - share) * other / np.linalg.norm(other)
        Inspection.objects.filter(pk=row.pk).update(embedding=vector / np.linalg.norm(vector))
    assert found(screens, f"like={screens.inspection.pk}") == ["near", "far"]
    wanted = reads.InspectionFilter(like=screens.inspection.pk)
    assert reads.list_inspections(screens.elsewhere, wanted).rows == []


def test_older_pages_go_on_where_the_first_one_ended(
    screens: Screens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "PAGE_SIZE", 2)
    moment = timezone.now()
    for number in range(4):
        row = make_inspection(screens.site, screens.plan, reference=str(number))
        Inspection.objects.filter(pk=row.pk).update(created_at=moment - timedelta(days=number // 2))
    seen, after = [], None
    while True:
        page = reads.list_inspections(screens.site, reads.InspectionFilter(after=after))
        seen += [row.reference for row in page.rows]
        after = page.next_after
        if after is None:
            break
    assert sorted(seen) == sorted(["0", "1", "2", "3", SECRET])


def test_only_what_is_under_way_is_asked_for_again(screens: Screens) -> None:
    client = screens.client("operator")
    assert "inspections/live/" not in client.get("/inspections/").content.decode()
    running = make_inspection(screens.site, screens.plan, status="running")
    assert f"ids={running.pk}" in client.get("/inspections/").content.decode()
    live = f"/inspections/live/?ids={running.pk}"
    assert "every 2s" in client.get(live).content.decode()
    Inspection.objects.filter(pk=running.pk).update(status="review", disposition="hold")
    page = client.get(live).content.decode()
    assert f'id="card-{running.pk}" hx-swap-oob="true"' in page
    assert "every 2s" not in page


def test_thumbnails_are_kept_by_the_browser(screens: Screens) -> None:
    client, address = screens.client("operator"), f"/photos/{screens.photo.pk}/thumb"
    first = client.get(address)
    list(first.streaming_content)
    assert "immutable" in first["Cache-Control"]
    assert first["Content-Type"] == "image/jpeg"
    again = client.get(address, headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 304


def test_words_from_photos_and_notes_are_shown_as_text_only(screens: Screens) -> None:
    bad = "</script><script>alert(1)</script>"
    Inspection.objects.filter(pk=screens.inspection.pk).update(note=bad, reference=bad)
    screens.photo.name = bad
    screens.photo.save()
    for address in (f"/inspections/{screens.inspection.pk}/", "/inspections/"):
        page = screens.client("reviewer").get(address).content.decode()
        assert "<script>alert" not in page


def test_a_small_site_beside_a_large_one_finds_its_own_similar_cases(screens: Screens) -> None:
    def unit(site: object, number: int, spread: float) -> Inspection:
        vector = np.random.default_rng(number).normal(0, spread, 384) + np.eye(384)[0]
        return Inspection(site=site, reference=f"U{number}", embedding=vector.tolist())

    Inspection.objects.bulk_create([unit(screens.elsewhere, n, 0.001) for n in range(400)])
    Inspection.objects.bulk_create([unit(screens.site, 1000 + n, 0.05) for n in range(9)])
    origin = Inspection.objects.for_site(screens.site).get(reference="U1000")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
    alike = reads.similar_cases(origin)
    assert len(alike) == 6
    assert {row.site_id for row in alike} == {screens.site.pk}
