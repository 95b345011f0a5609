"""What a report says of one unit.

Until a unit is decided, and while a word on it is sealed, a report shows the models' word: it goes
to people who may not know what a first reviewer said, and it stays when the unit changes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from inspection.models import Finding, Inspection, Photo, Report, Review
from inspection.models.choices import (
    FindingHistory,
    FindingSourceChoice,
    FindingStatus,
    InspectionStatus,
    PhotoStatus,
    RejectReason,
    ReviewKind,
    SeverityChoice,
)
from inspection.selectors.evidence import (
    AttributeRow,
    ClaimRow,
    FindingRow,
    attribute_rows,
    claim_rows,
    finding_row,
)
from inspection.selectors.findings import current_findings, is_standing
from inspection.selectors.reports import blocks, words
from inspection.selectors.reports.blocks import Block
from inspection.selectors.rounds import is_open
from inspection.services.sealing import before_verdicts

PRELIMINARY = (
    "Preliminary: proposed by the models. No person has decided yet, and findings are shown as the "
    "models see them."
)
MODELS = "Decided by the models; the plan asked for no person."


@dataclass(frozen=True)
class UnitFacts:
    """All that a report may say of a unit. ``is_settled``: somebody or, where the plan lets them,
    the models have decided, and nobody's word is sealed."""

    inspection: Inspection
    photos: list[Photo]
    findings: list[FindingRow]
    attributes: list[AttributeRow]
    report: Report | None
    claims: list[ClaimRow]
    reviews: list[Review]
    is_settled: bool

    @property
    def standing(self) -> list[FindingRow]:
        return [row for row in self.findings if is_standing(row.finding)]

    @property
    def severity(self) -> str:
        """Of the unit, "" for none: the worst of what is shown, because the unit's row already
        carries what a person who has not decided yet says of findings."""
        one = self.inspection
        if self.is_settled:
            return str(one.get_severity_display()) if one.severity else ""
        shown = {row.finding.severity for row in self.standing}
        worst = [choice for choice in reversed(list(SeverityChoice)) if choice in shown]
        return str(worst[0].label) if worst else ""

    @property
    def left_out(self) -> list[FindingRow]:
        return [row for row in self.findings if not is_standing(row.finding)]


@dataclass(frozen=True)
class UnitLine:
    """What the beginning of a lot's report needs of a unit. ``inputs``: lines of its hashes."""

    name: str
    received: str
    verdict: str
    disposition: str
    severity: str
    decided: str
    is_settled: bool
    plan: str
    context: dict[str, str]
    defects: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)


def read_unit(inspection: Inspection) -> UnitFacts:
    """Read it, in the same number of queries for any unit."""
    version = inspection.plan_version
    spec = version.parsed() if version else None
    settled = inspection.status == InspectionStatus.DECIDED and not is_open(inspection.pk)
    found = _findings(inspection, settled)
    rows = [finding_row(number, one, spec) for number, one in enumerate(found, start=1)]
    run = inspection.current_run
    report = Report.objects.filter(run=run).first() if run else None
    return UnitFacts(
        inspection=inspection,
        photos=list(inspection.photos.defer("embedding", "exif", "quality")),
        findings=rows,
        attributes=attribute_rows(run, spec),
        report=report,
        claims=claim_rows(report, rows),
        reviews=_reviews(inspection) if settled else [],
        is_settled=settled,
    )


def _findings(inspection: Inspection, settled: bool) -> list[Finding]:
    rows = current_findings(inspection)
    if settled:
        return rows
    before = before_verdicts(inspection)
    for finding in rows:
        for name, value in before.get(finding.pk, {}).items():
            setattr(finding, name, value)
    return [finding for finding in rows if _is_models(inspection, finding)]


def _is_models(inspection: Inspection, finding: Finding) -> bool:
    """Seen by the run in force; not drawn by a person, nor kept from before for their verdict."""
    by_person = finding.source == FindingSourceChoice.PERSON
    return finding.run_id == inspection.current_run_id and not by_person


def _reviews(inspection: Inspection) -> list[Review]:
    rows = Review.objects.filter(inspection=inspection).select_related("reviewer", "finding")
    return list(rows.order_by("created_at", "id"))


def unit_line(unit: UnitFacts) -> UnitLine:
    """One line of the list of units."""
    one = unit.inspection
    context = {name: getattr(one, name) for name in ("line", "shift", "supplier", "product")}
    return UnitLine(
        name=str(one),
        received=words.moment(one.created_at),
        verdict=verdict_word(unit),
        disposition=one.disposition,
        severity=unit.severity if one.disposition else "",
        decided=_by_whom(unit),
        is_settled=unit.is_settled,
        plan=_plan_name(one),
        context={name: value for name, value in context.items() if value},
        defects=[row.name for row in unit.standing],
        inputs=inputs_of(unit),
    )


def line_as_json(line: UnitLine) -> dict[str, Any]:
    return asdict(line)


def _by_whom(unit: UnitFacts) -> str:
    if not unit.is_settled:
        return "preliminary"
    return "a person" if unit.inspection.decided_at else "the models"


def verdict_word(unit: UnitFacts) -> str:
    one = unit.inspection
    if one.status == InspectionStatus.FAILED:
        return "No verdict"
    return one.get_disposition_display() or "Not judged yet"


def _plan_name(inspection: Inspection) -> str:
    if inspection.plan is None:
        return ""
    version = inspection.plan_version
    return f"{inspection.plan.name}, version {version.number}" if version else inspection.plan.name


def inputs_of(unit: UnitFacts) -> list[str]:
    """A line for each input, as its hash is printed: what the digest of a report is made from."""
    lines = [f"{photo.sha256}  {photo.name}" for photo in unit.photos]
    version = unit.inspection.plan_version
    if version is not None:
        lines.append(f"{words.plan_digest(version)}  {_plan_name(unit.inspection)}")
    return lines


def unit_blocks(unit: UnitFacts, parts: list[str]) -> list[Block]:
    """The blocks of the chosen parts, in their order."""
    return [block for part in parts for block in MADE_BY[part](unit)]


def verdict_blocks(unit: UnitFacts) -> list[Block]:
    one = unit.inspection
    tone = "" if one.status == InspectionStatus.FAILED else one.disposition
    severity = unit.severity if tone else ""
    rows = [
        ("Reference", one.reference),
        ("Plan", _plan_name(one)),
        ("Received", words.moment(one.created_at)),
        ("Product", one.product),
        ("Supplier", one.supplier),
        ("Line", one.line),
        ("Shift", one.shift),
        ("Severity", severity),
        ("Confidence", words.percent(one.confidence) if tone else ""),
        ("Reasons", "; ".join(str(reason) for reason in one.reasons)),
        ("Note", one.note),
    ]
    return [blocks.verdict(verdict_word(unit), tone, _verdict_text(unit)), blocks.facts(rows)]


def _verdict_text(unit: UnitFacts) -> str:
    one = unit.inspection
    if one.status == InspectionStatus.FAILED:
        return one.message or "The photos could not be judged."
    if not one.disposition:
        return "The models are still at work."
    if not unit.is_settled:
        return PRELIMINARY
    if one.decided_at:
        return f"Decided by a person on {words.moment(one.decided_at)}."
    return MODELS


def photo_blocks(unit: UnitFacts) -> list[Block]:
    made = []
    for photo in unit.photos:
        if photo.status != PhotoStatus.READY or not photo.view_key:
            why = photo.message or "It has not been decoded yet."
            made.append(blocks.paragraph(f"Photo {photo.name} is not shown. {why}", "muted"))
            continue
        marks = [_mark(row) for row in unit.standing if row.finding.photo_id == photo.pk]
        count = f"{len(marks)} finding{'' if len(marks) == 1 else 's'}" if marks else "no finding"
        caption = f"{photo.name}, {photo.width} × {photo.height} px, {count}"
        made.append(blocks.photo(str(photo.pk), photo.name, _size(photo), caption, marks))
    return [blocks.heading("Photos"), *(made or [blocks.paragraph("No photo.", "muted")])]


def _size(photo: Photo) -> tuple[int, int]:
    return photo.width or 1, photo.height or 1


def _mark(row: FindingRow) -> Block:
    finding = row.finding
    mask = None
    if finding.mask_counts:
        size = [finding.mask_height, finding.mask_width]
        mask = {"size": size, "counts": finding.mask_counts}
    box = (finding.x1, finding.y1, finding.x2, finding.y2)
    return blocks.mark(row.number, row.name, finding.severity, box, mask)


def finding_blocks(unit: UnitFacts) -> list[Block]:
    photos = {photo.pk: photo for photo in unit.photos if photo.view_key}
    made = [
        blocks.finding(
            _mark(row),
            str(row.finding.photo_id),
            _size(photos[row.finding.photo_id]),
            f"{row.number}. {row.name}",
            _finding_lines(row),
        )
        for row in unit.standing
        if row.finding.photo_id in photos
    ]
    if not unit.standing:
        made.append(blocks.paragraph("No finding counts.", "muted"))
    if unit.left_out:
        told = "; ".join(_why_left_out(unit, row) for row in unit.left_out)
        made.append(blocks.paragraph(f"Does not count: {told}.", "muted"))
    return [blocks.heading("Findings"), *made]


def _finding_lines(row: FindingRow) -> list[str]:
    one = row.finding
    sure = f"{words.percent(one.confidence)} sure"
    by_person = one.source == FindingSourceChoice.PERSON
    state = {
        FindingStatus.CONFIRMED: "confirmed by a person",
        FindingStatus.OPEN: f"seen by {one.get_source_display().lower()}, {sure}",
    }.get(FindingStatus(one.status), "")
    history = one.get_history_display().lower() if one.history != FindingHistory.NEW else ""
    head = [one.get_severity_display(), "drawn by a person" if by_person else state, history]
    return [", ".join(word for word in head if word), words.sizes(one), row.definition]


def _why_left_out(unit: UnitFacts, row: FindingRow) -> str:
    one = row.finding
    if one.status != FindingStatus.REJECTED:
        return f"{row.number}. {row.name} (fixed since the earlier inspection)"
    last = [r for r in unit.reviews if r.finding_id == one.pk and r.reason]
    reason = f": {RejectReason(last[-1].reason).label.lower()}" if last else ""
    return f"{row.number}. {row.name} (rejected{reason})"


def attribute_blocks(unit: UnitFacts) -> list[Block]:
    rows = [
        [row.title, row.answer or "not answered", words.percent(row.value.confidence)]
        for row in unit.attributes
    ]
    if not rows:
        return []
    columns = ("Characteristic", "Answer", "Sure")
    made = blocks.table("Attributes", columns, rows, widths=(5, 5, 2), figures=(2,))
    return [blocks.heading("Attributes"), made]


def word_blocks(unit: UnitFacts) -> list[Block]:
    if unit.report is None:
        return []
    said = []
    for claim in unit.claims:
        evidence = ", ".join(text for text, _ in claim.links)
        said.append(blocks.paragraph(f"{claim.text} ({evidence})" if evidence else claim.text))
    by = f"Written by {unit.report.writer} from what the models saw; each sentence was checked."
    return [blocks.heading(unit.report.title), *said, blocks.paragraph(by, "muted")]


def people_blocks(unit: UnitFacts) -> list[Block]:
    title = blocks.heading("Who decided")
    if not unit.is_settled:
        return [title, blocks.paragraph("No person has decided yet.", "muted")]
    if not unit.reviews:
        return [title, blocks.paragraph(MODELS, "muted")]
    names = {row.finding.pk: f"{row.number}. {row.name}" for row in unit.findings}
    rows = [_review_row(review, names) for review in unit.reviews]
    columns = ("When", "Who", "What", "Said")
    return [title, blocks.table("Who decided", columns, rows, widths=(6, 4, 7, 7))]


def _review_row(review: Review, names: dict[Any, str]) -> list[str]:
    what = ReviewKind(review.kind).label
    if review.kind == ReviewKind.DISPOSITION:
        what = f"Decided: {review.after.get('disposition', '')}"
    elif review.finding_id in names:
        what = f"{what}: {names[review.finding_id]}"
    reason = RejectReason(review.reason).label if review.reason else ""
    said = ". ".join(text for text in (reason, review.comment) if text)
    return [words.moment(review.created_at), words.person(review.reviewer), what, said]


def hash_blocks(unit: UnitFacts) -> list[Block]:
    rows = [[photo.name, photo.sha256] for photo in unit.photos]
    version = unit.inspection.plan_version
    if version is not None:
        rows.append([_plan_name(unit.inspection), words.plan_digest(version)])
    made = blocks.table("Hashes", ("Input", "SHA-256"), rows, widths=(4, 9), mono=(1,))
    return [blocks.heading("Hashes of the inputs"), made]


MADE_BY = {
    "verdict": verdict_blocks,
    "photos": photo_blocks,
    "findings": finding_blocks,
    "attributes": attribute_blocks,
    "words": word_blocks,
    "people": people_blocks,
    "hashes": hash_blocks,
}
