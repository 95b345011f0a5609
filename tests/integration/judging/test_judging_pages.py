"""Reasons for rejecting, the catalogue, the rule of a plan and the agreement page."""

from __future__ import annotations

import csv
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from judging_world import decide, key, member, rule
from screen_world import SPEC, Screens, make_inspection

from inspection.models import Agreement, JudgingRule, PlanVersion, Review
from inspection.models.choices import RejectReason
from inspection.services import reviews
from inspection.views.inspection import REJECT_REASONS

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)


def test_each_reason_has_a_key_of_its_own() -> None:
    keys = [key for key, _, _ in REJECT_REASONS]
    assert len(set(keys)) == len(RejectReason.values)
    assert "x" not in keys


def test_a_reason_is_kept_in_the_verdict_and_found_again(screens: Screens) -> None:
    client = screens.client("reviewer")
    finding = screens.findings[0]
    address = f"/inspections/{screens.inspection.pk}/findings/{finding.pk}/"
    sent = {"reason": "reflection", "client_key": key()}
    assert client.post(address, sent, headers={"HX-Request": "true"}).status_code == 200
    assert Review.objects.get().reason == "reflection"
    assert "Dent" in client.get("/judging/rejections/?reason=reflection").content.decode()
    assert (
        "Nothing was rejected so" in client.get("/judging/rejections/?reason=dirt").content.decode()
    )
    page = client.get(f"/inspections/{screens.inspection.pk}/").content.decode()
    assert "reflection or glare" in page


@pytest.mark.parametrize(
    ("reason", "words"), [("spots", "one of the reasons"), ("other", "comment")]
)
def test_a_reason_that_says_nothing_is_refused(screens: Screens, reason: str, words: str) -> None:
    with pytest.raises(reviews.ReviewRefusedError, match=words):
        reviews.reject_finding(
            screens.memberships["reviewer"], screens.findings[0], key(), reason=reason
        )


def test_the_catalogue_has_limits_and_examples_of_other_units(screens: Screens) -> None:
    spec: dict[str, Any] = SPEC | {"mm_per_px": 0.1}
    spec["defects"] = [SPEC["defects"][0] | {"max_area_mm2": 4.5}, SPEC["defects"][1]]
    version = PlanVersion.objects.create(site=screens.site, plan=screens.plan, number=2, spec=spec)
    screens.inspection.plan_version = version
    screens.inspection.save()
    other = make_inspection(screens.site, screens.plan, reference="Other")
    dent, scratch = other.findings.order_by("key")
    reviews.confirm_finding(screens.memberships["reviewer"], dent, key())
    reviews.reject_finding(screens.memberships["reviewer"], scratch, key(), reason="dirt")
    body = (
        screens.client("operator")
        .get(f"/inspections/{screens.inspection.pk}/catalogue/?type=scratch")
        .content.decode()
    )
    assert body.index("Scratch") < body.index("Dent"), "the class at hand comes first"
    for words in ("Pressed in", "4.5 mm²", "0.1 mm", "Dirt or dust", f"finding-{dent.pk}"):
        assert words in body
    assert f"finding-{screens.findings[0].pk}" not in body


def test_a_manager_sets_the_rule_and_bad_numbers_are_told(screens: Screens) -> None:
    client, page = screens.client("manager"), f"/plans/{screens.plan.key}/judging/"
    sent = {"share": "12.5", "severity_from": "critical", "new_units": "20", "gold_share": "5"}
    assert client.post(page, sent).status_code == 302
    made = JudgingRule.objects.get()
    assert (made.share, made.severity_from, made.new_units) == (0.125, "critical", 20)
    assert (made.gold_share, made.new_days) == (0.05, None)
    assert 'value="12.5"' in client.get(page).content.decode()
    answer = client.post(page, sent | {"share": "120"})
    assert answer.status_code == 422
    assert "less than or equal to 100" in answer.content.decode()
    assert screens.client("reviewer").get(page).status_code == 403


def test_agreement_is_told_by_pair_plan_and_week_and_as_a_file(screens: Screens) -> None:
    rule(screens.plan)
    first, second = screens.memberships["reviewer"], member(screens, "=second")
    for number in range(12):
        unit = make_inspection(screens.site, screens.plan, reference=f"Unit {number}")
        decide(first, unit, "accept" if number % 2 else "reject")
        decide(second, unit, "accept" if number % 2 or number == 0 else "reject")
    client = screens.client("manager")
    body = client.get("/judging/agreement/").content.decode()
    # 12 units: 6 both accept, 5 both reject, 1 differs; expected .5, so 1 - (1/12) / .5.
    assert "κ 0.83" in body
    assert "lid-reviewer and =second" in body
    rows = list(csv.DictReader(client.get("/judging/agreement.csv").content.decode().splitlines()))
    assert [row["by"] for row in rows] == ["all", "pair", "plan", "week"]
    assert {row["units"] for row in rows} == {"12"}
    assert rows[0]["disposition_kappa"] == "0.8333"
    assert rows[2]["name"] == "Steel lids"
    Agreement.objects.update(created_at=timezone.now() - timedelta(weeks=20))
    assert "κ 0.83" not in client.get("/judging/agreement/?weeks=4").content.decode()
    assert "κ 0.83" in client.get("/judging/agreement/?weeks=26").content.decode()
    assert "κ 0.83" not in client.get("/judging/agreement/?plan=none&weeks=26").content.decode()


def test_empty_pages_say_what_to_do(screens: Screens) -> None:
    client = screens.client("manager")
    for page, words in (
        ("agreement", "Ten per cent"), ("gold", "Use as gold unit"), ("rejections", "press"),
    ):  # fmt: skip
        assert words in client.get(f"/judging/{page}/").content.decode()
    assert "@lid-manager" in client.get("/inbox/").content.decode()
