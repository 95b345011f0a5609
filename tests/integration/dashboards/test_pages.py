"""The dashboards' pages: figures as counted by hand, filters, CSV, roles, links to the units."""

from __future__ import annotations

import csv
import io
import re
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest
from django.utils import timezone
from screen_world import Screens, make_inspection

from inspection import models as m
from inspection.services.rollups import count_marked
from inspection.views.dashboards import PAGES

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def count_all() -> None:
    while count_marked():
        pass


def unit(world: Screens, days_ago: int, disposition: str, findings: int = 0, **more: Any) -> None:
    """A unit of some days ago."""
    made = make_inspection(world.site, world.plan, findings=findings, status="decided")
    m.Inspection.objects.filter(pk=made.pk).update(
        disposition=disposition, created_at=timezone.now() - timedelta(days=days_ago), **more
    )


@pytest.fixture
def busy(screens: Screens) -> Screens:
    """Twelve days: 4 units a day, one of them rejected; on the third day all four."""
    m.Inspection.objects.filter(pk=screens.inspection.pk).update(
        created_at=timezone.now() - timedelta(days=400)
    )
    for day in range(12):
        for number in range(4):
            is_bad = number == 0 or day == 2
            unit(screens, day, "reject" if is_bad else "accept", findings=int(is_bad),
                 line=f"L{number % 2}", shift="night" if day == 2 else "day")  # fmt: skip
    count_all()
    return screens


def page(world: Screens, name: str, query: str = "", who: str = "manager") -> str:
    answer = world.client(who).get(f"/dashboards/{name}/{query}")
    assert answer.status_code == 200, answer.content[:500]
    return unescape(answer.content.decode())


def table(world: Screens, name: str, figure: str, query: str = "") -> list[dict[str, str]]:
    answer = world.client("manager").get(f"/dashboards/{name}/{figure}.csv{query}")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


def test_the_p_chart_as_counted_by_hand(busy: Screens) -> None:
    """15 of 48 are rejected: p̄ = 0.3125; with n = 4 the upper limit would be 1.0077, so 1."""
    today = timezone.localdate()
    rows = table(busy, "quality", "defect-rate", f"?since={today - timedelta(days=11)}&by=day")
    assert [(row["Units"], row["Count"]) for row in rows] == [
        ("4", "4" if day == 2 else "1") for day in reversed(range(12))
    ]
    assert {float(row["Mean"]) for row in rows} == {0.3125}
    assert {(row["Lower limit"], row["Upper limit"]) for row in rows} == {("0.0", "1.0")}
    assert sum(float(row["Value"]) for row in rows) / 12 == pytest.approx(0.3125)


def test_tiles_pareto_and_mix_as_counted_by_hand(busy: Screens) -> None:
    text = page(busy, "quality")
    assert re.search(r"Units</dt><dd><a[^>]*>48</a>", text)
    assert re.search(r"Defective</dt><dd><a[^>]*>31\.2 %</a>", text)
    assert table(busy, "quality", "pareto") == [
        {"Type": "dent", "Findings": "15", "Count": "15.0", "Share": "1.0", "Together": "1.0"}
    ]
    mix = {row["Group"]: row["Units"] for row in table(busy, "quality", "severity")}
    assert (mix["Major"], mix["Reject"], mix["Rework"]) == ("48", "15", "0")


def test_costs_make_the_pareto_by_cost(busy: Screens) -> None:
    assert "No type of defect has a cost yet" in page(busy, "quality")
    client = busy.client("manager")
    refused = client.post("/dashboards/costs/", {"lids:dent": "-1", "lids:scratch": "4"})
    assert refused.status_code == 422
    assert 'value="-1"' in refused.content.decode(), "what was typed is still there"
    assert not m.DefectCost.objects.exists()
    assert client.post("/dashboards/costs/", {"lids:dent": "2.50"}).status_code == 302
    (row,) = table(busy, "quality", "pareto-cost")
    assert (row["Cost"], row["Findings"]) == ("37.5", "15")
    client.post("/dashboards/costs/", {"lids:dent": ""})
    assert not m.DefectCost.objects.exists()


def test_filters_narrow_by_one_and_by_two(busy: Screens) -> None:
    def units(query: str) -> int:
        return sum(int(row["Units"]) for row in table(busy, "compare", "by-plan", query))

    assert units("") == 48
    assert units("?line=L0") == 24
    assert units("?shift=night") == 4
    assert units("?line=L1&shift=night") == 2
    assert units("?line=L1&shift=night&plan=lids") == 2
    assert units("?plan=none") == 0
    assert "at least two points" in page(busy, "quality", "?shift=night")


def test_lines_are_compared_with_wilson_intervals(busy: Screens) -> None:
    rows = {row["Line"]: row for row in table(busy, "compare", "by-line")}
    assert (rows["L0"]["Defective"], rows["L0"]["Units"]) == ("13", "24")
    assert (rows["L1"]["Defective"], rows["L1"]["Units"]) == ("2", "24")
    assert float(rows["L0"]["Low"]) == pytest.approx(0.3507, abs=2e-3)
    assert "No unit says its supplier" in page(busy, "compare")


def test_each_figure_leads_to_exactly_its_units(busy: Screens) -> None:
    day = timezone.localdate() - timedelta(days=2)
    text = page(busy, "quality", f"?since={day}&until={day + timedelta(days=1)}&by=day")
    start = rf"/inspections/[^\"]*since={day}"
    hrefs = re.findall(rf'href="({start}[^"]*what=defective[^"]*)"', text)
    answer = busy.client("manager").get(hrefs[0]).content.decode()
    assert "not accepted" in answer
    # The whole range of the tile comes first: four of that day and one of the next.
    assert answer.count('id="card-') in (4, 5)
    listed = busy.client("manager").get(
        f"/inspections/?view=table&since={day}&until={day}&line=L1&what=defective&type=dent"
    )
    assert listed.content.decode().count('id="card-') == 2
    assert busy.client("manager").get("/inspections/?since=soon&what=x").status_code == 200


@pytest.mark.parametrize("name", PAGES)
def test_pages_without_any_unit_teach_what_to_do(screens: Screens, name: str) -> None:
    m.Membership.objects.filter(user=screens.users["manager"]).update(site=screens.elsewhere)
    text = page(screens, name)
    assert 'class="nothing"' in text
    assert "<path" in text, "the icon"
    assert "chart-line" not in text


@pytest.mark.parametrize("name", PAGES)
def test_pages_with_units_show_only_those_of_the_site(busy: Screens, name: str) -> None:
    m.Membership.objects.create(
        site=busy.elsewhere, user=m.User.objects.create(username="boss"), role="manager"
    )
    busy.users["boss"] = m.User.objects.get(username="boss")
    assert "chart-line" not in page(busy, name, who="boss")
    text = page(busy, name, "?plan=lids")
    assert " style=" not in text
    for key in re.findall(r'href="(/dashboards/[^"]+\.csv[^"]*)"', text):
        assert busy.client("manager").get(key).status_code == 200


def test_only_managers_look(screens: Screens) -> None:
    for who, status in (("operator", 403), ("reviewer", 403), ("manager", 200), ("admin", 200)):
        assert screens.client(who).get("/dashboards/quality/").status_code == status
        assert screens.client(who).get("/dashboards/costs/").status_code == status
    assert screens.client("manager").get("/dashboards/none/").status_code == 404
    assert screens.client("manager").get("/dashboards/quality/none.csv").status_code == 404


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("?since=soon", "“soon” is no date"),
        ("?since=2026-05-01&until=2026-04-01", "exchanged"),
        ("?since=1980-01-01&until=2020-12-31", "Ten years"),
        ("?since=2026-13-01", "is no date"),
        ("?since=0001-01-01&until=9999-12-31", "between 1970 and 2999"),
        ("?until=0001-01-01", ""),
        ("?plan=%00&line=%00&by=%27&rules=x", ""),
    ],
)
def test_bad_addresses_are_answered_with_words(screens: Screens, query: str, says: str) -> None:
    assert says in page(screens, "quality", query)


def test_a_name_is_no_formula_in_a_spreadsheet(busy: Screens) -> None:
    unit(busy, 0, "reject", line="=HYPERLINK(1)")
    count_all()
    names = [row["Line"] for row in table(busy, "compare", "by-line")]
    assert "'=HYPERLINK(1)" in names


def test_a_heat_map_covers_days_months_and_types_exactly(busy: Screens) -> None:
    unit(busy, 75, "reject", findings=1)
    count_all()

    def findings(since: date, until: date, more: str = "") -> int:
        text = page(busy, "places", f"?plan=lids&since={since}&until={until}{more}")
        told = re.search(r"(\d+) findings; the larger", text)
        return int(told[1]) if told else 0

    today = timezone.localdate()
    assert findings(today - timedelta(days=75), today) == 16
    assert findings(today - timedelta(days=74), today) == 15
    assert findings(today - timedelta(days=75), today - timedelta(days=75)) == 1
    assert findings(today - timedelta(days=75), today, "&type=dent") == 16
    assert findings(today - timedelta(days=75), today, "&type=scratch") == 0


def test_context_comes_in_by_the_api(screens: Screens) -> None:
    answer = screens.client("operator").post(
        "/api/v1/uploads",
        {"batch": "018f3f2e-0000-7000-8000-000000000001", "client_key": "k2", "name": "a.jpg",
         "size": 10, "line": "L7", "shift": "night", "supplier": "S", "product": "P"},
        content_type="application/json",
    )  # fmt: skip
    assert answer.status_code == 200
    row = m.Upload.objects.get(client_key="k2")
    assert (row.line, row.shift, row.supplier, row.product) == ("L7", "night", "S", "P")
