"""Reads of the learning pages: how much there is to learn from, jobs, versions, and how they do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Count, Q, QuerySet

from inspection.models import (
    ComparedUnit,
    GoldUnit,
    Inspection,
    LearningJob,
    ModelVersion,
    Plan,
    ShadowResult,
    TrainingExample,
)
from inspection.models.choices import DispositionChoice, InspectionStatus
from inspection.models.learning import Change, LearningStatus, Part, VersionStatus

ROUGHLY_NEEDED, ROUGHLY_OF_A_KIND = 30, 8
"""Judged units from which learning is likely to have enough, a part being kept for testing."""
MOST_SHADOWED = 5000
ACCEPT = DispositionChoice.ACCEPT.value


@dataclass(frozen=True, slots=True)
class Material:
    """Judged units of a plan: those accepted, those not, and its gold units."""

    accepted: int
    refused: int
    gold: int

    @property
    def missing(self) -> list[str]:
        """What is likely to be missing, in words; empty where there is enough."""
        told = [
            (ROUGHLY_NEEDED - self.accepted - self.refused, "judged units"),
            (ROUGHLY_OF_A_KIND - self.accepted, "accepted units"),
            (ROUGHLY_OF_A_KIND - self.refused, "units that were not accepted"),
        ]
        return [f"{count} more {what}" for count, what in told if count > 0]


@dataclass(frozen=True, slots=True)
class Shadowed:
    """Live units that a version saw in the shadow. ``escapes``: it would have let them pass, people
    did not accept them. ``overkill``: it would not have accepted them, people did."""

    units: int
    failed: int
    differ: int
    judged: int
    escapes: int
    overkill: int
    live_escapes: int
    live_overkill: int
    last_error: str
    rows: list[ShadowResult]


def material(plan: Plan) -> Material:
    """A quick count; the job counts exactly."""
    decided = Inspection.objects.filter(
        site=plan.site_id, plan=plan, status=InspectionStatus.DECIDED, decided_by__isnull=False
    )
    told = decided.aggregate(
        accepted=Count("pk", filter=Q(disposition=ACCEPT)),
        refused=Count("pk", filter=~Q(disposition=ACCEPT)),
    )
    gold = GoldUnit.objects.filter(plan=plan, is_active=True).count()
    return Material(told["accepted"], told["refused"], gold)


def latest_job(plan: Plan) -> LearningJob | None:
    rows = LearningJob.objects.filter(plan=plan).select_related("version", "requested_by")
    job: LearningJob | None = rows.first()
    return job


def is_open(job: LearningJob | None) -> bool:
    return job is not None and job.status in (LearningStatus.WAITING, LearningStatus.RUNNING)


def versions_of(plan: Plan) -> QuerySet[ModelVersion]:
    """Versions that were compared, newest first."""
    rows: QuerySet[ModelVersion] = ModelVersion.objects.filter(plan=plan)
    seen = rows.filter(figures__has_key="parts")
    return seen.select_related("training_set", "decided_by", "previous", "against")


def live_version(plan: Plan) -> ModelVersion | None:
    version: ModelVersion | None = versions_of(plan).filter(status=VersionStatus.LIVE).first()
    return version


def compared(
    version: ModelVersion,
    *,
    change: str = "",
    part: str = "",
    since: date | None = None,
    until: date | None = None,
) -> QuerySet[ComparedUnit]:
    """Judged units under the old and the new version, by what was chosen."""
    rows: QuerySet[ComparedUnit] = version.compared.select_related("inspection")
    if change:
        rows = rows.filter(change=change)
    if part:
        rows = rows.filter(part=part)
    if since:
        rows = rows.filter(judged_at__date__gte=since)
    if until:
        rows = rows.filter(judged_at__date__lte=until)
    return rows.defer("inspection__embedding", "inspection__search")


def changes(rows: QuerySet[ComparedUnit]) -> list[tuple[str, str, int]]:
    """(value, label, count) of each kind of change among rows."""
    counts = Counter(rows.order_by().values_list("change", flat=True))
    return [(change.value, change.label, counts[change.value]) for change in Change]


def finding_changes(rows: QuerySet[ComparedUnit]) -> dict[str, int]:
    """Over all rows: judged findings that come back, went, were lost, were kept."""
    total: Counter[str] = Counter()
    for told in rows.order_by().values_list("findings", flat=True):
        total.update(told)
    return {name: total[name] for name in ("returning", "fixed", "lost", "kept")}


def shadowed(version: ModelVersion) -> Shadowed:
    """What became of live units that the version saw too."""
    rows = list(version.shadowed.select_related("inspection")[:MOST_SHADOWED])
    seen = [row for row in rows if not row.error]
    differ = [row for row in seen if _accepts(row.live) != _accepts(row.shadow)]
    judged = [row for row in seen if _verdict(row)]
    failed = [row for row in rows if row.error]
    return Shadowed(
        units=len(seen),
        failed=len(failed),
        differ=len(differ),
        judged=len(judged),
        escapes=sum(_escapes(row, row.shadow) for row in judged),
        overkill=sum(_overkill(row, row.shadow) for row in judged),
        live_escapes=sum(_escapes(row, row.live) for row in judged),
        live_overkill=sum(_overkill(row, row.live) for row in judged),
        last_error=failed[0].error if failed else "",
        rows=differ[:50],
    )


def examples(version: ModelVersion) -> QuerySet[TrainingExample]:
    """The labels that a version comes from, newest verdict first."""
    rows = TrainingExample.objects.filter(training_set=version.training_set_id)
    told = rows.select_related("review__reviewer", "inspection", "finding").order_by("-review_id")
    return told.defer("inspection__embedding", "inspection__search", "finding__mask_counts")


def base_has_changed(version: ModelVersion) -> bool:
    """Whether the newest units were judged by another shipped extractor than it was learnt on."""
    from inspection.models import StepRun

    newest = StepRun.objects.filter(
        run__inspection__plan=version.plan_id, step="extract", status="done"
    ).order_by("-finished_at")
    told = newest.values_list("engine", "engine_version").first()
    if told is None:
        return False
    base = f"{told[0]} {told[1].partition('+site-')[0]}"
    return bool(version.bases.get("vlm") != base)


def figure_rows(version: ModelVersion, part: str) -> list[dict[str, Any]]:
    """Old and new of each figure of a part, in the order of the page."""
    told = version.figures.get("parts", {}).get(part, {})
    return [
        {"name": name, "old": told["old"].get(name), "new": told["new"].get(name)}
        for name in ("accuracy", "escapes", "overkill", "asks", "auroc", "error")
        if name in told.get("new", {}) or name in told.get("old", {})
    ]


PARTS = (Part.HELD, Part.GOLD, Part.TRAIN)


def _accepts(said: dict[str, Any]) -> bool:
    return bool(said.get("disposition") == ACCEPT)


def _verdict(row: ShadowResult) -> str:
    unit = row.inspection
    is_word = unit.decided_by_id is not None and unit.status == InspectionStatus.DECIDED
    return unit.disposition if is_word and unit.disposition != DispositionChoice.HOLD else ""


def _escapes(row: ShadowResult, said: dict[str, Any]) -> bool:
    return _accepts(said) and not said.get("asks") and _verdict(row) != ACCEPT


def _overkill(row: ShadowResult, said: dict[str, Any]) -> bool:
    return not _accepts(said) and _verdict(row) == ACCEPT
