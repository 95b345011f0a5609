"""Reports are made as asked, page and PDF say the same, and masks are the findings'."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.utils import timezone
from judging_world import key
from report_world import (
    blob,
    decided,
    lot_report,
    pdf_of,
    said,
    squeezed,
    text_of,
    unit_report,
    work,
)
from screen_world import Screens, make_photo

from inspection.models import Inspection, Report, ReportDocument, ReportLayout, ReportPart
from inspection.selectors.inspections import InspectionFilter
from inspection.services import reviews
from inspection.services.intake import fetch
from inspection.services.reports import asking, making
from inspection.services.reports.refusals import ReportRefusedError
from models_runtime import masks
from models_runtime.contracts import Mask

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
FOREIGN = "Прокладка 裂纹 検査 שלום مرحبا"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)


def judge(screens: Screens) -> None:
    """One finding confirmed, one rejected, the unit decided."""
    who, (dent, scratch) = screens.memberships["reviewer"], screens.findings
    reviews.confirm_finding(who, dent, key(), "plain to see")
    reviews.reject_finding(who, scratch, key(), "", reason="reflection")
    reviews.decide(who, Inspection.objects.get(pk=screens.inspection.pk), "reject", key(), "")


def missing(document: ReportDocument, client: Any) -> list[str]:
    """What the report is made of and its PDF or its page does not say."""
    pdf = text_of(pdf_of(document))
    answer = client.get(f"/reports/{document.pk}/").content.decode()
    page = squeezed(answer.replace("&#x27;", "'").replace("&quot;", '"').replace("&amp;", "&"))
    return [
        text for text in said(document) if squeezed(text) not in pdf or squeezed(text) not in page
    ]


def test_page_and_pdf_say_all_that_the_report_is_made_of(screens: Screens) -> None:
    Inspection.objects.filter(pk=screens.inspection.pk).update(note="Found at gate 5")
    claims = [{"text": "There is a dent.", "evidence": ["finding:f0"]}]
    Report.objects.filter(run=screens.run).update(title="A dented lid", claims=claims)
    judge(screens)
    screens.findings[0].refresh_from_db()
    document = unit_report(screens)
    assert missing(document, screens.client("reviewer")) == []
    text = text_of(pdf_of(document))
    for fact in (
        "Reject", "Decided by a person on", "1. Dent", "confirmed by a person",
        "600 px, 30 px long", "2. Scratch (rejected: reflection or glare)", "Colour", "bare",
        "not answered", "0" * 64,
        "lid-reviewer", "plain to see", "Found at gate 5", "There is a dent. (finding 1)",
    ):  # fmt: skip
        assert squeezed(fact) in text, fact


def test_sizes_are_in_mm_where_the_plan_knows_the_scale(screens: Screens) -> None:
    dent = screens.findings[0]
    dent.area_mm2, dent.length_mm = 12.345, 8.06
    dent.save()
    assert squeezed("12.3 mm², 8.1 mm long") in text_of(pdf_of(unit_report(screens)))


@pytest.mark.parametrize("factor", [1, 20])
def test_masks_in_the_pdf_are_those_of_the_findings(screens: Screens, factor: int) -> None:
    """To the pixel; on photos that are scaled down, to the pixel that lies in the middle."""
    for finding in screens.findings:
        blob(finding)
    wanted = [mask_of(f, factor) for f in screens.findings]
    enlarge(screens, factor)
    document = unit_report(screens)
    scale = min(1.0, making.SIDE_OF_ONE / (200 * factor))
    drawn = overlays(document)
    assert len(drawn) >= 2
    for mask in wanted:
        expected = sampled(mask, scale)
        assert any(one.shape == expected.shape and (one == expected).all() for one in drawn)


def mask_of(finding: Any, factor: int) -> Any:
    whole = masks.decode(Mask(size=(150, 200), counts=finding.mask_counts))
    return np.kron(whole, np.ones((factor, factor), dtype=bool))


def sampled(mask: Any, scale: float) -> Any:
    """The mask's own rectangle, by a way that the code under test does not share."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if scale == 1:
        return part
    height, width = (max(1, round(n * scale)) for n in part.shape)
    ys = [int((y + 0.5) * part.shape[0] / height) for y in range(height)]
    xs = [int((x + 0.5) * part.shape[1] / width) for x in range(width)]
    return np.array([[part[y, x] for x in xs] for y in ys])


def enlarge(screens: Screens, factor: int) -> None:
    """As if the photo had been larger than the copy that is served."""
    photo = screens.photo
    photo.width, photo.height = 200 * factor, 150 * factor
    photo.save()
    for finding in screens.findings:
        encoded = masks.encode(mask_of(finding, factor))
        finding.x1, finding.y1, finding.x2, finding.y2 = (
            side * factor for side in (finding.x1, finding.y1, finding.x2, finding.y2)
        )
        finding.mask_counts = encoded.counts
        finding.mask_height, finding.mask_width = encoded.size
        finding.save()


def overlays(document: ReportDocument) -> list[Any]:
    """Where the pictures of the PDF that have clear parts are not clear."""
    pictures = [one.image for page in pdf_of(document).pages for one in page.images]
    return [np.asarray(p)[..., 3] > 0 for p in pictures if p.mode == "RGBA"]


def test_letters_of_many_scripts_are_in_the_pdf(screens: Screens) -> None:
    Inspection.objects.filter(pk=screens.inspection.pk).update(reference=FOREIGN)
    text = text_of(pdf_of(unit_report(screens)))
    for word in ("Прокладка", "裂纹", "検査"):
        assert word in text
    assert "שלום" in text or "םולש" in text, "right to left, in either order"


def test_hashes_are_of_photo_and_plan_and_can_be_computed_again(screens: Screens) -> None:
    version = screens.plan.current
    plain = json.dumps(version.spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    plan_hash = hashlib.sha256(plain.encode()).hexdigest()
    lines = f"{'0' * 64}  lid.jpg\n{plan_hash}  Steel lids, version 1\n"
    text = text_of(pdf_of(unit_report(screens)))
    assert plan_hash in text
    assert hashlib.sha256(lines.encode()).hexdigest() in text


def test_the_file_is_what_its_row_says(screens: Screens) -> None:
    document = unit_report(screens)
    data = fetch(document.pdf_key)
    assert hashlib.sha256(data).hexdigest() == document.pdf_sha256
    assert len(data) == document.size_bytes
    assert len(pdf_of(document).pages) == document.pages
    assert document.done == document.total


def test_a_lot_has_its_figures_its_list_and_each_unit(
    screens: Screens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "UNITS_OF_PART", 20)
    for number in range(43):
        decided(screens, f"Lot-{number:02}", supplier="Acme")
    Inspection.objects.filter(pk=screens.inspection.pk).update(supplier="Acme")
    document = lot_report(screens, {"supplier": "Acme"}, title="Acme, week 48")
    reader = pdf_of(document)
    text = text_of(reader)
    assert [one for one in said(document) if squeezed(one) not in text] == []
    assert squeezed("43 of 44 units accepted (98 %).") in text
    assert squeezed("1 unit is not decided yet") in text
    assert squeezed("supplier Acme") in text
    assert all(f"Lot-{number:02}" in text for number in range(43))
    assert [one.title for one in reader.outline][:2] == ["Vault door 4711", "Lot-00"]
    last = reader.pages[-1].extract_text()
    assert f"Page {len(reader.pages)}" in last
    assert reader.metadata.title == "Acme, week 48"
    assert list(document.parts.exclude(pdf_key="")) == [], "pieces are gone once they are joined"


def test_units_of_other_suppliers_dates_and_sites_are_not_in_the_lot(screens: Screens) -> None:
    mine = decided(screens, "Mine", supplier="Acme")
    decided(screens, "Other", supplier="Other")
    late = decided(screens, "Late", supplier="Acme")
    tomorrow = timezone.now() + timedelta(days=2)
    Inspection.objects.filter(pk=late.pk).update(created_at=tomorrow)
    until = timezone.localdate().isoformat()
    document = lot_report(screens, {"supplier": "Acme", "until": until})
    assert document.units == [str(mine.pk)]


def test_a_layout_chooses_parts_order_paper_and_footer(screens: Screens) -> None:
    layout = ReportLayout.objects.create(
        site=screens.site, name="Short", parts=["attributes", "verdict"], paper="letter",
        title="Certificate", footer="Lid works · Zürich",
    )  # fmt: skip
    reader = pdf_of(unit_report(screens, layout=layout))
    text = text_of(reader)
    assert [float(side) for side in reader.pages[0].mediabox[2:]] == [612.0, 792.0]
    assert text.index("Characteristic") < text.index("Rework")
    assert "Certificate" in text
    assert "SHA-256" not in text
    assert squeezed("Lid works · Zürich · Certificate") in text
    assert list(reader.pages[0].images) == []


def test_a_report_stays_as_it_was_when_the_unit_changes(screens: Screens) -> None:
    document = unit_report(screens, who="operator")
    judge(screens)
    page = screens.client("reviewer").get(f"/reports/{document.pk}/").content.decode()
    assert "Preliminary" in page
    assert "lid-reviewer" not in page.partition('id="sheet"')[2].partition("</article>")[0]


def test_a_photo_without_its_file_is_told_and_the_report_is_made(screens: Screens) -> None:
    lost = make_photo(screens.inspection, position=3)
    lost.view_key = "nowhere.jpg"
    lost.save()
    unread = make_photo(screens.inspection, position=4)
    unread.status, unread.view_key, unread.message = "unusable", "", "It is no photo."
    unread.save()
    text = text_of(pdf_of(unit_report(screens)))
    assert squeezed("its file is gone") in text
    assert squeezed("is not shown. It is no photo.") in text


def test_a_killed_worker_is_followed_by_one_that_goes_on(
    screens: Screens, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(21):
        decided(screens, f"Lot-{number:02}")
    wanted = InspectionFilter.parse({"q": "Lot"})
    document = asking.ask_for_lot(screens.memberships["manager"], wanted, "", None)
    drawn: list[int] = []
    real = making._drawn

    def dies(document: Any, part: ReportPart, page: int) -> Any:
        drawn.append(part.number)
        if drawn == [0, 1]:
            raise KeyboardInterrupt
        return real(document, part, page)

    monkeypatch.setattr(making, "_drawn", dies)
    with pytest.raises(KeyboardInterrupt):
        work(document)
    ReportDocument.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert text_of(pdf_of(work(document))).count(squeezed("Decided by the models")) >= 21
    assert drawn == [0, 1, 1, 2], "the piece that was there is not drawn again"


def test_a_cancelled_report_is_not_made(screens: Screens) -> None:
    who = screens.memberships["manager"]
    document = asking.ask_for_unit(who, screens.inspection, None)
    assert asking.cancel(who, document)
    assert work(document).status == "cancelled"
    assert document.pdf_key == ""


def test_a_double_click_is_one_report(screens: Screens) -> None:
    who = screens.memberships["reviewer"]
    first = asking.ask_for_unit(who, screens.inspection, None)
    assert asking.ask_for_unit(who, screens.inspection, None).pk == first.pk
    work(first)
    assert asking.ask_for_unit(who, screens.inspection, None).pk != first.pk


def test_deleting_takes_the_file_and_only_its_maker_and_managers_may(
    screens: Screens, django_capture_on_commit_callbacks: Any
) -> None:
    document = unit_report(screens, who="reviewer")
    with pytest.raises(ReportRefusedError, match="Only who made the report"):
        asking.delete(screens.memberships["operator"], document)
    key = document.pdf_key
    with django_capture_on_commit_callbacks(execute=True):
        asking.delete(screens.memberships["manager"], document)
    with pytest.raises(FileNotFoundError):
        fetch(key)


def test_a_lot_of_too_many_or_of_none_is_refused_with_words(
    screens: Screens, monkeypatch: pytest.MonkeyPatch
) -> None:
    who, every = screens.memberships["manager"], InspectionFilter()
    monkeypatch.setattr(asking, "MOST_UNITS", 0)
    with pytest.raises(ReportRefusedError, match="Narrow the filter"):
        asking.ask_for_lot(who, every, "", None)
    with pytest.raises(ReportRefusedError, match="No unit fits"):
        asking.ask_for_lot(who, InspectionFilter(q="nothing"), "", None)
    with pytest.raises(ReportRefusedError, match="Only quality managers"):
        asking.ask_for_lot(screens.memberships["reviewer"], every, "", None)
