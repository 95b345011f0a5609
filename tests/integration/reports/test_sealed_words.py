"""Reports don't tell a word that is sealed, nor which units are gold units."""

from __future__ import annotations

import pytest
from judging_world import decide, key, member, rule
from report_world import lot_report, pdf_of, said, text_of, unit_report
from screen_world import Screens, make_inspection

from inspection.models import Finding, Inspection, ReportDocument
from inspection.services import reviews
from inspection.services.gold import make_gold

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
FIRST = "first-with-a-rare-name"
SAID = "words that only the first would say"


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)


def tells(document: ReportDocument) -> list[str]:
    told = " ".join(said(document)) + text_of(pdf_of(document))
    secrets = (FIRST, SAID, "rejected", "confirmed", "Hold", "Critical", "drawn by a person")
    return [secret for secret in secrets if secret in told or secret.replace(" ", "") in told]


def test_a_report_made_while_the_first_judges_shows_the_models_word(screens: Screens) -> None:
    """Afterwards their word is sealed, and the report is still there for the second to read."""
    rule(screens.plan)
    first, (dent, scratch) = member(screens, FIRST), screens.findings
    reviews.change_finding(first, dent, key(), severity="critical", comment=SAID)
    reviews.reject_finding(first, scratch, key(), SAID, reason="reflection")
    added = Finding.objects.get(pk=dent.pk)
    added.pk, added.key, added.run = None, "p", None
    added.source, added.status = "person", "confirmed"
    added.identity = screens.inspection.pk
    added.save()
    document = unit_report(screens)
    assert tells(document) == []
    assert "2. Scratch" in said(document)


def test_a_sealed_word_is_in_no_report_and_a_word_in_force_is(screens: Screens) -> None:
    rule(screens.plan)
    first, second = member(screens, FIRST), member(screens, "second")
    _, scratch = screens.findings
    reviews.reject_finding(first, scratch, key(), SAID, reason="reflection")
    decide(first, screens.inspection, "hold")
    assert tells(unit_report(screens)) == []
    assert tells(unit_report(screens, who="manager")) == []
    reviews.reject_finding(second, Finding.objects.get(pk=scratch.pk), key(), "", reason="dirt")
    decide(second, screens.inspection, "hold")
    told = said(unit_report(screens))
    assert FIRST in told
    assert "Hold" in told


def test_gold_units_are_in_no_lot_and_look_like_others_alone(screens: Screens) -> None:
    decide(screens.memberships["manager"], screens.inspection, "hold")
    gold = make_gold(
        screens.memberships["manager"], Inspection.objects.get(pk=screens.inspection.pk)
    )
    copy = gold.inspection
    other = make_inspection(screens.site, screens.plan, reference="Other")
    document = lot_report(screens)
    assert str(copy.pk) not in document.units
    assert set(document.units) == {str(screens.inspection.pk), str(other.pk)}
    screens.inspection = copy
    told = said(unit_report(screens))
    assert "Hold" not in told
    assert any(text.startswith("Preliminary") for text in told)


def test_only_managers_see_reports_on_lots(screens: Screens) -> None:
    document = lot_report(screens)
    for who, status in (("operator", 404), ("reviewer", 404), ("manager", 200)):
        client = screens.client(who)
        assert client.get(f"/reports/{document.pk}/").status_code == status
        pdf = client.get(f"/reports/{document.pk}/report.pdf")
        assert pdf.status_code == status
        if status == 200:
            assert b"".join(pdf.streaming_content).startswith(b"%PDF")
        assert (document.title in client.get("/reports/").content.decode()) == (status == 200)
