"""The stages of learning: collect verdicts, read photos, fit, compare. Each call does a part.

Only workers and the command import this: the stages need the models.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from inspection.models import (
    ComparedUnit,
    Inspection,
    LearningJob,
    ModelVersion,
    Photo,
    PhotoReading,
    Plan,
    Run,
    StepRun,
    TrainingExample,
    TrainingSet,
)
from inspection.models.choices import DispositionChoice, RunStatus, StepName
from inspection.models.learning import Change, LearningStage, LearningStatus, Part, VersionStatus
from inspection.pipeline.learned import LearnedRef, catalogue_of, delta_of, name_of, ref_of
from inspection.pipeline.photos import decode
from inspection.pipeline.runtime import runtime
from inspection.selectors.learning_labels import JudgedUnit, judged_units
from inspection.services.intake import put
from inspection.services.learning_jobs import JobClaim, TooFewVerdictsError, progress
from inspection.services.learning_replay import (
    Answer,
    Subject,
    answer,
    case_of,
    extractions,
    match,
)
from models_runtime.contracts import Extraction
from models_runtime.errors import InputError
from models_runtime.learning.applied import Correctable, learned, version_of
from models_runtime.learning.delta import Delta, digest_of
from models_runtime.learning.fitting import (
    FEWEST,
    FEWEST_OF_A_KIND,
    FOLDS,
    CaseLabel,
    FindingLabel,
    PhotoLabel,
    fit_defect_head,
    fit_finding_head,
    fit_severity_head,
)
from models_runtime.learning.measuring import Outcome, figures
from models_runtime.learning.reading import Reading, read_photos
from models_runtime.learning.ridge import folds_of
from models_runtime.plans import PlanSpec

TOGETHER = 4
"""Photos in one pass; between passes the time is looked at."""
UNITS_AT_ONCE = 50


def collect(job: LearningJob, claim: JobClaim, deadline: float) -> None:
    """Write the verdicts in force down as labels; stop where they are too few."""
    units = judged_units(job.plan)
    _check_enough(units)
    with transaction.atomic():
        made = _training_set(job, units)
        photos = sum(len(unit.photos) for unit in units)
        progress(claim, training_set=made, stage=LearningStage.READ, done=0, total=photos)


def read(job: LearningJob, claim: JobClaim, deadline: float) -> None:
    """Let the shipped extractor look at photos that it has not been asked about before."""
    plan, base = _spec(job), base_version()
    wanted = [photo.id for unit in judged_units(job.plan) for photo in unit.photos]
    missing = _unread(wanted, base, plan)
    total = max(job.total, len(wanted))
    progress(claim, done=total - len(missing), total=total)
    while missing and time.monotonic() < deadline:
        some, missing = missing[:TOGETHER], missing[TOGETHER:]
        read_missing(some, plan)
        progress(claim, done=total - len(missing), total=total)
    if not missing:
        progress(claim, stage=LearningStage.FIT, done=0, total=0)


def fit(job: LearningJob, claim: JobClaim, deadline: float) -> None:
    """Fit the heads on the part that is learnt from, and keep what came out as a version."""
    plan, units = _spec(job), judged_units(job.plan)
    taught = [unit for unit in units if unit.part == Part.TRAIN]
    readings = readings_of(taught, plan)
    delta, told = learn(taught, readings, plan)
    with transaction.atomic():
        version = _keep(job, delta, told, plan)
        progress(claim, version=version, stage=LearningStage.COMPARE, done=0, total=len(units))


def compare(job: LearningJob, claim: JobClaim, deadline: float) -> None:
    """Put every judged unit before the old and the new version, then offer the new one."""
    version, plan = job.version, _spec(job)
    if version is None:
        raise TooFewVerdictsError("The version is gone. Start again.")
    units = judged_units(job.plan)
    seen = set(version.compared.values_list("inspection_id", flat=True))
    left = [unit for unit in units if unit.inspection.pk not in seen]
    while left and time.monotonic() < deadline:
        some, left = left[:UNITS_AT_ONCE], left[UNITS_AT_ONCE:]
        with transaction.atomic():
            ComparedUnit.objects.bulk_create(_compared(version, some, plan), ignore_conflicts=True)
            progress(claim, done=len(units) - len(left), total=len(units))
    if left:
        return
    with transaction.atomic():
        told = version.figures | {"parts": _figures(version)}
        ModelVersion.objects.filter(pk=version.pk).update(figures=told)
        done = {"status": LearningStatus.DONE, "finished_at": Now()}
        progress(claim, **done, message=f"Version {version.number} is offered.")


Stage = Callable[[LearningJob, JobClaim, float], None]
STAGES: dict[str, Stage] = {
    LearningStage.COLLECT: collect,
    LearningStage.READ: read,
    LearningStage.FIT: fit,
    LearningStage.COMPARE: compare,
}


def base_version() -> str:
    """The shipped extractor that answers first, as a delta names it."""
    return version_of(runtime().extractors()[0].load().ref)


def read_missing(photo_ids: Sequence[UUID], plan: PlanSpec) -> None:
    """Ask the shipped extractor about photos and keep what it says. One that can't be decoded any
    more is passed over: its unit then counts without it."""
    extractor = runtime().extractors()[0].load()
    base, catalogue = version_of(extractor.ref), catalogue_of(plan)
    rows, pixels = [], []
    for row in Photo.objects.filter(pk__in=photo_ids).only("original_key", "site_id"):
        try:
            pixels.append(decode(row.original_key).photo)
        except InputError:
            continue
        rows.append(row)
    made = [
        PhotoReading(
            site_id=row.site_id,
            photo=row,
            base=base,
            catalogue=catalogue,
            extraction=reading.extraction.model_dump(mode="json", exclude={"embedding"}),
            packed=reading.packed(),
        )
        for row, reading in zip(rows, read_photos(extractor, pixels, plan), strict=True)
    ]
    PhotoReading.objects.bulk_create(made, ignore_conflicts=True)


def readings_for(photo_ids: Sequence[UUID], plan: PlanSpec) -> dict[UUID, Reading]:
    """Kept readings by photo."""
    rows = PhotoReading.objects.filter(
        photo__in=photo_ids, base=base_version(), catalogue=catalogue_of(plan)
    )
    return {
        row.photo_id: Reading.unpacked(Extraction.model_validate(row.extraction), bytes(row.packed))
        for row in rows
    }


def readings_of(units: Sequence[JudgedUnit], plan: PlanSpec) -> dict[UUID, Reading]:
    return readings_for([photo.id for unit in units for photo in unit.photos], plan)


def subject_of(unit: JudgedUnit, readings: dict[UUID, Reading]) -> Subject:
    """A judged unit as it is replayed."""
    sizes = [(photo.id, photo.width, photo.height) for photo in unit.photos]
    mine = {photo.id: readings[photo.id] for photo in unit.photos if photo.id in readings}
    return Subject(unit.inspection, sizes, unit.rows, mine)


def learn(
    units: Sequence[JudgedUnit], readings: dict[UUID, Reading], plan: PlanSpec
) -> tuple[Delta, dict[str, Any]]:
    """The three heads, one after the other. Triage learns from cases as a version gives them that
    did not know them: else it would trust the extractor more than it may."""
    photos, findings = photo_labels(units, readings), finding_labels(units, readings)
    defect, chosen = fit_defect_head(photos)
    finding, chosen_finding = fit_finding_head(findings)
    bases = _bases()
    cases = _left_out_cases(units, readings, plan, bases)
    severity, chosen_severity = fit_severity_head(cases)
    told = {
        "defect": chosen.told(),
        "finding": chosen_finding.told() | {"cut": finding.cut},
        "severity": chosen_severity.told(),
    }
    return Delta(bases, defect, finding, severity), {"heads": told}


def photo_labels(units: Sequence[JudgedUnit], readings: dict[UUID, Reading]) -> list[PhotoLabel]:
    """Photos whose truth is known and that the extractor did not abstain on."""
    return [
        PhotoLabel(unit.key, said.extraction.defect_probability, said.traits, photo.is_defective)
        for unit in units
        for photo in unit.photos
        if photo.is_defective is not None
        and (said := readings.get(photo.id)) is not None
        and not said.extraction.abstained
    ]


def finding_labels(
    units: Sequence[JudgedUnit], readings: dict[UUID, Reading]
) -> list[FindingLabel]:
    """Findings that the extractor points at again, with what people said of them."""
    made = []
    for unit in units:
        truth = {judged.row.pk: judged.is_defect for judged in unit.findings}
        for photo in unit.photos:
            said = readings.get(photo.id)
            for number, candidate in enumerate(said.extraction.defects if said else ()):
                row = match(photo.id, candidate, unit.rows)
                if said is not None and row is not None and row.pk in truth:
                    told = (unit.key, candidate.type, candidate.confidence, said.places[number])
                    made.append(FindingLabel(*told, truth[row.pk]))
    return made


def _left_out_cases(
    units: Sequence[JudgedUnit],
    readings: dict[UUID, Reading],
    plan: PlanSpec,
    bases: dict[str, str],
) -> list[CaseLabel]:
    engine = runtime().triagers()[0].load()
    if not isinstance(engine, Correctable):
        return []
    folds = folds_of([unit.key for unit in units], FOLDS).tolist()
    made = []
    for fold in range(FOLDS):
        others = [unit for unit, its in zip(units, folds, strict=True) if its != fold]
        delta = Delta(
            bases,
            fit_defect_head(photo_labels(others, readings))[0],
            fit_finding_head(finding_labels(others, readings))[0],
        )
        for unit in (unit for unit, its in zip(units, folds, strict=True) if its == fold):
            subject = subject_of(unit, readings)
            if unit.severity is None or not subject.readings:
                continue
            case = case_of(subject, extractions(delta, subject.readings, plan), plan)
            if not case.extraction_abstained:
                made.append(CaseLabel(unit.key, *engine.evidence(case), unit.severity))
    return made


def _bases() -> dict[str, str]:
    return {"vlm": base_version(), "slm": version_of(runtime().triagers()[0].load().ref)}


def _spec(job: LearningJob) -> PlanSpec:
    """The plan as it was when the verdicts were collected; a catalogue that changed since is for
    the next job."""
    version = job.training_set.plan_version if job.training_set else job.plan.current
    if version is None:
        raise TooFewVerdictsError("The plan has no version yet. Save it first.")
    return version.parsed()


def _unread(wanted: Sequence[UUID], base: str, plan: PlanSpec) -> list[UUID]:
    rows = PhotoReading.objects.filter(photo__in=wanted, base=base, catalogue=catalogue_of(plan))
    known = set(rows.values_list("photo_id", flat=True))
    tried = [pk for pk in wanted if pk not in known]
    stored = Photo.objects.filter(pk__in=tried).in_bulk()
    return [pk for pk in tried if pk in stored and not _is_gone(stored[pk])]


def _is_gone(photo: Photo) -> bool:
    from django.core.files.storage import default_storage

    return not default_storage.exists(photo.original_key)


def _check_enough(units: Sequence[JudgedUnit]) -> None:
    """At least ``FEWEST`` units to learn from with both kinds, and some to test on."""
    taught = [unit for unit in units if unit.part == Part.TRAIN]
    bad = sum(unit.is_defective for unit in taught)
    missing = []
    if len(taught) < FEWEST:
        missing.append(f"{FEWEST - len(taught)} more judged units")
    if bad < FEWEST_OF_A_KIND:
        missing.append(f"{FEWEST_OF_A_KIND - bad} more that were not accepted")
    if len(taught) - bad < FEWEST_OF_A_KIND:
        missing.append(f"{FEWEST_OF_A_KIND - (len(taught) - bad)} more that were accepted")
    if missing:
        held = len(units) - len(taught)
        raise TooFewVerdictsError(
            f"Too few verdicts yet. Missing among those to learn from: {', '.join(missing)}. "
            f"There are {len(taught)} to learn from and {held} kept for testing; of ten new "
            "units about seven are learnt from."
        )


def _training_set(job: LearningJob, units: Sequence[JudgedUnit]) -> TrainingSet:
    version = job.plan.current
    assert version is not None, "verdicts are only there where a version judged"
    rows = [row for unit in units for row in _examples(unit)]
    runs = _runs_before({row["inspection"] for row in rows})
    for row in rows:
        row["said"] |= _said(runs.get(row["inspection"], []), row.pop("at"))
    counts = {part.value: sum(unit.part == part for unit in units) for part in Part}
    counts |= {
        "defective": sum(unit.is_defective for unit in units),
        "findings": sum(len(unit.findings) for unit in units),
        "photos": sum(len(unit.photos) for unit in units),
    }
    made: TrainingSet = TrainingSet.objects.create(
        site_id=job.site_id,
        plan=job.plan,
        plan_version=version,
        digest=_digest(rows, units),
        counts=counts,
    )
    TrainingExample.objects.bulk_create(
        TrainingExample(
            site_id=job.site_id,
            training_set=made,
            review_id=row["review"],
            inspection_id=row["inspection"],
            finding_id=row["finding"],
            part=row["part"],
            label=row["label"],
            said=row["said"],
        )
        for row in rows
    )
    return made


def _examples(unit: JudgedUnit) -> list[dict[str, Any]]:
    """Verdicts of one unit; a gold unit's answer is no verdict of a review."""
    if unit.review is None:
        return []
    common = {"inspection": unit.inspection.pk, "part": unit.part.value}
    rows: list[dict[str, Any]] = [
        common
        | {
            "review": unit.review.pk,
            "finding": None,
            "label": {"disposition": unit.verdict},
            "said": {"disposition": unit.review.before.get("disposition", "")},
            "at": unit.review.created_at,
        }
    ]
    rows += [
        common
        | {
            "review": judged.review.pk,
            "finding": judged.row.pk,
            "label": {"type": judged.row.type, "is_defect": judged.is_defect},
            "said": {
                "type": judged.row.model_type or judged.row.type,
                "confidence": round(judged.row.confidence, 4),
            },
            "at": judged.review.created_at,
        }
        for judged in unit.findings
    ]
    return rows


def _runs_before(inspections: set[UUID]) -> dict[UUID, list[StepRun]]:
    """Extractions by unit, newest first."""
    found: dict[UUID, list[StepRun]] = {}
    steps = StepRun.objects.filter(
        run__inspection__in=inspections, step=StepName.EXTRACT, run__status=RunStatus.DONE
    ).select_related("run")
    for step in steps.defer("output").order_by("-run__number"):
        found.setdefault(step.run.inspection_id, []).append(step)
    return found


def _said(steps: Sequence[StepRun], at: Any) -> dict[str, str]:
    """Which run a person had before them: the newest that had ended by then."""
    for step in steps:
        if step.run.finished_at and step.run.finished_at <= at:
            version = f"{step.engine} {step.engine_version}".strip()
            return {"run": str(step.run_id), "version": version}
    return {}


def _digest(rows: Sequence[dict[str, Any]], units: Sequence[JudgedUnit]) -> str:
    """Over what is learnt from and tested on, whatever order the rows came in."""
    told = sorted(
        json.dumps([str(row["review"]), row["part"], row["label"]], sort_keys=True) for row in rows
    )
    gold = sorted(f"{u.inspection.pk} {u.verdict}" for u in units if u.part == Part.GOLD)
    return hashlib.sha256("\n".join([*told, *gold]).encode()).hexdigest()


def _keep(job: LearningJob, delta: Delta, told: dict[str, Any], plan: PlanSpec) -> ModelVersion:
    """Store the files and the row. A slice that is done again writes a further number."""
    assert job.training_set is not None, "labels are gathered before anything is fitted"
    weights, plain = delta.files()
    digest = digest_of(weights, plain)
    folder = f"learned/{job.site_id}/{job.pk}/{digest[:16]}"
    put(f"{folder}.safetensors", weights)
    put(f"{folder}.json", plain)
    Plan.objects.select_for_update(no_key=True).get(pk=job.plan_id)  # numbers one at a time
    last = ModelVersion.objects.filter(plan=job.plan).aggregate(last=Max("number"))["last"] or 0
    live = ModelVersion.objects.filter(plan=job.plan, status=VersionStatus.LIVE).first()
    version: ModelVersion = ModelVersion.objects.create(
        site_id=job.site_id,
        plan=job.plan,
        number=last + 1,
        training_set=job.training_set,
        bases=dict(delta.bases),
        catalogue=catalogue_of(plan),
        digest=digest,
        tensors_key=f"{folder}.safetensors",
        plain_key=f"{folder}.json",
        figures=told,
        against=live,
    )
    return version


def delta_against(version: ModelVersion) -> tuple[Delta, LearnedRef | None]:
    """What the version is compared with: the live one of that moment, else the shipped models."""
    if version.against is None:
        return Delta(), None
    ref = ref_of(version.against)
    return delta_of(ref), ref


def _compared(
    version: ModelVersion, units: Sequence[JudgedUnit], plan: PlanSpec
) -> list[ComparedUnit]:
    readings = readings_of(units, plan)
    old, old_ref = delta_against(version)
    new, new_ref = delta_of(ref_of(version)), ref_of(version)
    runtimes = [learned(runtime(), d, name_of(r)) for d, r in ((old, old_ref), (new, new_ref))]
    made = []
    for unit in units:
        subject = subject_of(unit, readings)
        if not subject.readings:
            continue
        said = [extractions(delta, subject.readings, plan) for delta in (old, new)]
        before, after = (
            answer(engines, case_of(subject, one, plan))
            for engines, one in zip(runtimes, said, strict=True)
        )
        made.append(
            ComparedUnit(
                site_id=version.site_id,
                version=version,
                inspection=unit.inspection,
                part=unit.part,
                verdict=unit.verdict,
                judged_at=unit.judged_at,
                old=before.told(),
                new=after.told(),
                change=change_of(unit.verdict, before, after),
                findings=_finding_changes(unit, *said),
            )
        )
    return made


def change_of(verdict: str, before: Answer, after: Answer) -> Change:
    """An error is to accept what people did not, or not to accept what they did."""
    truth = verdict == DispositionChoice.ACCEPT
    was, now = before.accepts == truth, after.accepts == truth
    if now:
        return Change.RIGHT if was else Change.FIXED
    return Change.NEW if was else Change.RETURNING


def _finding_changes(
    unit: JudgedUnit, before: dict[UUID, Extraction], after: dict[UUID, Extraction]
) -> dict[str, int]:
    """Of the findings that people judged, what either version still reports."""
    was, now = _reported(unit, before), _reported(unit, after)
    rejected = {judged.row.pk for judged in unit.findings if not judged.is_defect}
    confirmed = {judged.row.pk for judged in unit.findings if judged.is_defect}
    told = {
        "returning": len(rejected & was & now),
        "fixed": len((rejected & was) - now),
        "lost": len((confirmed & was) - now),
        "kept": len(confirmed & was & now),
    }
    return {name: count for name, count in told.items() if count}


def _reported(unit: JudgedUnit, said: dict[UUID, Extraction]) -> set[UUID]:
    rows = (
        match(photo, candidate, unit.rows)
        for photo, one in said.items()
        for candidate in one.defects
    )
    return {row.pk for row in rows if row is not None}


def _figures(version: ModelVersion) -> dict[str, Any]:
    """Figures of the old and the new by part; units on hold have no truth."""
    told: dict[str, Any] = {}
    rows = version.compared.exclude(verdict=DispositionChoice.HOLD)
    for part in Part:
        mine = [row for row in rows if row.part == part]
        told[part.value] = {
            "units": len(mine),
            "old": figures([_outcome(row.old, row.verdict) for row in mine]),
            "new": figures([_outcome(row.new, row.verdict) for row in mine]),
            "changes": {c.value: sum(row.change == c for row in mine) for c in Change},
        }
    return told


def _outcome(said: dict[str, Any], verdict: str) -> Outcome:
    accepts = said["disposition"] == DispositionChoice.ACCEPT
    is_defective = verdict != DispositionChoice.ACCEPT
    return Outcome(said["chance"], accepts, said["asks"], is_defective)


def run_of(inspection: Inspection) -> Run | None:
    return inspection.current_run
