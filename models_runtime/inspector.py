"""The steps of an inspection as plain functions: typed values in, a typed value and a record out.

The Django pipeline and the command line call the same functions. None of them keeps state: engines
come from the Runtime that is passed in.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from models_runtime.cascade import CascadeAnswer, EngineRun, cost_microusd, run_cascade
from models_runtime.compare.earlier import REF as EARLIER_REF
from models_runtime.compare.earlier import Change, EarlierPhoto, nearest
from models_runtime.compare.history import with_history
from models_runtime.contracts import (
    ActionGraph,
    ActionInput,
    Architecture,
    AttributeResult,
    Comparison,
    DefectCandidate,
    EngineRef,
    Extraction,
    Finding,
    PhotoPixels,
    Probability,
    Report,
    ReportInput,
    ReportWriter,
    Triage,
    TriageInput,
    Value,
)
from models_runtime.errors import FatalError, InputError
from models_runtime.llm.template import WRITER_OF_LAST_RESORT, is_template
from models_runtime.mlm.routing import PlanCandidate, PlanRouter, RouteHints, inspection_text
from models_runtime.outlining import merge_candidates, outline_candidates
from models_runtime.plans import PlanSpec
from models_runtime.router import choose_for_step
from models_runtime.runtime import Runtime
from models_runtime.scaling import WorkingCopy
from models_runtime.vlm.escalation import Extracted, extract_by_cascade

__all__ = [
    "Comparer",
    "Done",
    "Route",
    "Runtime",
    "StepRecord",
    "case_text",
    "compare_photo",
    "compare_with_earlier",
    "embed_text",
    "embed_texts",
    "extract_photo",
    "extract_photos",
    "photo_embedding",
    "plan_actions",
    "route_photo",
    "segment_findings",
    "triage_case",
    "write_report",
]

T = TypeVar("T")

_ANY_ANSWER = 0.0
_ANY_PHOTO = PlanSpec(name="any photo")


class StepRecord(Value):
    """What a step leaves behind: who answered, why that one, how long, how sure, at what cost.

    ``run_ms`` in milliseconds; ``cost_microusd`` in millionths of a US dollar of compute time.
    ``escalated``: more than the first engine was asked. ``to_person``: no engine was sure enough.
    ``ran``: each engine that was called, what it was asked and answered, its time and its cost.
    """

    step: str
    architecture: Architecture
    engine: str
    version: str
    reason: str
    run_ms: float
    confidence: Probability | None = None
    escalated: bool = False
    to_person: bool = False
    cost_microusd: int = 0
    ran: tuple[EngineRun, ...] = ()


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """A step's answer and its record."""

    value: T
    record: StepRecord


class Route(Value):
    """Which plan fits. ``plan`` is its place in the list asked, None where a person must choose.

    ``scores``: one share per plan; what is missing to 1 is that of "none of these".
    """

    plan: int | None
    scores: tuple[float, ...]


class Comparer(Protocol):
    """Something that knows normal photos and says what deviates from them."""

    @property
    def ref(self) -> EngineRef: ...

    def compare(self, photo: PhotoPixels) -> Comparison: ...


def route_photo(
    runtime: Runtime,
    plans: Sequence[PlanSpec],
    text: str,
    image_embedding: Sequence[float] = (),
    filename: str = "",
) -> Done[Route]:
    """Choose the plan nearest in meaning to the operator's words and, where given, the photo.

    ``image_embedding`` is from ``photo_embedding``. With one plan no model runs.
    """
    if not plans:
        raise ValueError("routing needs at least one plan")
    if len(plans) == 1:
        return Done(Route(plan=0, scores=(1.0,)), _by_rule("route", "there is only one plan"))
    engine, started = runtime.embedder(), time.perf_counter()
    candidates = [PlanCandidate.of(str(place), plan) for place, plan in enumerate(plans)]
    hints = RouteHints(
        note=text[:4000], filename=filename[-500:], image_embedding=tuple(image_embedding)
    )
    routing = PlanRouter(engine).route(candidates, hints)
    scores = {ranked.key: ranked.score for ranked in routing.ranked}
    route = Route(
        plan=None if routing.chosen is None else int(routing.chosen),
        scores=tuple(scores.get(candidate.key, 0.0) for candidate in candidates),
    )
    record = _timed(
        runtime, "route", engine.ref, started, routing.confidence, f"; {routing.reason}"
    )
    return Done(route, record.model_copy(update={"to_person": routing.abstained}))


def photo_embedding(runtime: Runtime, photo: PhotoPixels) -> tuple[float, ...]:
    """Place a photo in the sentence encoder's space, without any plan; empty if it can't be."""
    extractor = runtime.extractors()[0].load()
    (extraction,) = extractor.extract([WorkingCopy.of(photo).photo], _ANY_PHOTO)
    return extraction.embedding


def embed_text(runtime: Runtime, text: str) -> Done[tuple[float, ...]]:
    """Embed a text such as ``case_text`` for the search of similar cases; unit length."""
    return embed_texts(runtime, [text])[0]


def embed_texts(runtime: Runtime, texts: Sequence[str]) -> list[Done[tuple[float, ...]]]:
    """Embed several texts in one pass; time is shared out evenly."""
    engine, started = runtime.embedder(), time.perf_counter()
    rows = engine.embed(texts)
    # As if each had begun so much earlier than the end as its share is long.
    now = time.perf_counter()
    began = now - (now - started) / max(1, len(texts))
    return [
        Done(tuple(float(v) for v in row), _timed(runtime, "route", engine.ref, began, None, ""))
        for row in rows
    ]


def case_text(
    plan: PlanSpec,
    attributes: Sequence[AttributeResult],
    findings: Sequence[Finding],
    triage: Triage | None,
    note: str = "",
) -> str:
    """The inspection in words, for its embedding: what it was, what was found, what came of it."""
    return inspection_text(plan, attributes, findings, triage, note)


def extract_photo(runtime: Runtime, photo: PhotoPixels, plan: PlanSpec) -> Done[Extraction]:
    """Ask the plan's questions of one photo."""
    return extract_photos(runtime, [photo], plan)[0]


def extract_photos(
    runtime: Runtime, photos: Sequence[PhotoPixels], plan: PlanSpec
) -> list[Done[Extraction]]:
    """Ask the plan's questions of several photos in one pass; time is shared out evenly."""
    if not photos:
        return []
    copies = [WorkingCopy.of(photo) for photo in photos]

    answers = extract_by_cascade(runtime.extractors(), [copy.photo for copy in copies], plan)
    return [
        Done(_restored(answer.value, copy), _extraction_record(answer))
        for answer, copy in zip(answers, copies, strict=True)
    ]


def compare_photo(runtime: Runtime, comparer: Comparer, photo: PhotoPixels) -> Done[Comparison]:
    """Compare a photo with golden references."""
    started = time.perf_counter()
    comparison = comparer.compare(photo)
    record = _timed(runtime, "compare", comparer.ref, started, None, "")
    return Done(comparison, record)


def compare_with_earlier(
    runtime: Runtime, photo: PhotoPixels, earlier: Sequence[EarlierPhoto]
) -> Done[Change | None]:
    """Compare a photo with the earlier one of the asset that shows the most alike view."""
    started = time.perf_counter()
    change = nearest(photo, earlier)
    told = "" if change else "; no earlier photo shows this view"
    return Done(change, _timed(runtime, "compare", EARLIER_REF, started, None, told))


def segment_findings(
    runtime: Runtime,
    photo: PhotoPixels,
    candidates: Sequence[DefectCandidate],
    plan: PlanSpec,
    comparison: Comparison | None = None,
    change: Change | None = None,
) -> Done[tuple[Finding, ...]]:
    """Give each candidate, and each deviation of a comparison, its pixels; with ``change``, its
    history since the earlier photo too, and what became of the defects that were there.

    Ids are the same whenever photo, type, source and box are. A mask that is empty or hopeless by
    the segmenter's own estimate is left out, and its finding keeps the box.
    """
    merged = merge_candidates(candidates, comparison, change.comparison if change else None)
    if not merged:
        carried = with_history((), change, plan.mm_per_px) if change else ()
        reason = "nothing was pointed at, so nothing to outline"
        return Done(carried, _by_rule("segment", reason))
    segmenter, started = runtime.segmenter(), time.perf_counter()
    findings = outline_candidates(segmenter, photo, merged, plan.mm_per_px)
    sure = [f.mask_confidence for f in findings if f.mask_confidence is not None]
    mean = sum(sure) / len(sure) if sure else None
    boxes = len(findings) - len(sure)
    note = f"; {boxes} of {len(findings)} keep their box only" if boxes else ""
    if change is not None:
        findings = with_history(findings, change, plan.mm_per_px)
    return Done(findings, _timed(runtime, "segment", segmenter.ref, started, mean, note))


def triage_case(runtime: Runtime, case: TriageInput) -> Done[Triage]:
    """Decide what happens with the unit; below the plan's ``review_below`` a person must look."""
    answer = run_cascade(
        runtime.triagers(),
        lambda engine: engine.triage(case),
        lambda triage: triage.confidence,
        case.plan.policy.review_below,
    )
    triage = answer.value
    if answer.to_person and not triage.needs_review:
        reason = f"only {triage.confidence:.0%} sure of the disposition"
        reasons = (*triage.reasons, reason)
        triage = triage.model_copy(update={"needs_review": True, "reasons": reasons})
    return Done(triage, _recorded("triage", answer))


def write_report(runtime: Runtime, evidence: ReportInput) -> Done[Report]:
    """Write the report; confidence is the share of claims that stood as the writer put them.

    Where every configured writer fails, the template writes: a report server that is down must not
    hold back a verdict.
    """
    configured = runtime.writers()
    tiers = configured
    if not any(is_template(tier.name) for tier in configured):
        tiers = (*configured, runtime.template_writer())
    answer = run_cascade(
        tiers, lambda writer: _written(writer, evidence), _grounded_share, _ANY_ANSWER
    )
    record = _recorded("report", answer, told=False)
    changes: dict[str, object] = {"confidence": answer.confidence}
    report = answer.value
    if len(answer.ran) > len(configured):
        report = report.model_copy(update={"writer": WRITER_OF_LAST_RESORT})
        changes["reason"] = f"{record.reason}; the configured writer failed, the template wrote"
    return Done(report, record.model_copy(update=changes))


def plan_actions(runtime: Runtime, case: ActionInput) -> Done[ActionGraph]:
    """Plan the actions that the playbook allows."""
    answer = run_cascade(
        runtime.planners(), lambda planner: planner.plan(case), lambda graph: 1.0, _ANY_ANSWER
    )
    return Done(answer.value, _recorded("act", answer, told=False))


def _written(writer: ReportWriter, evidence: ReportInput) -> Report:
    """Evidence that is too long for one writer is no unusable photo: the next one is asked."""
    try:
        return writer.write(evidence)
    except InputError as error:
        raise FatalError(str(error)) from error


def _grounded_share(report: Report) -> float:
    if not report.claims:
        return 1.0
    return sum(not claim.replaced for claim in report.claims) / len(report.claims)


def _restored(extraction: Extraction, copy: WorkingCopy) -> Extraction:
    """Bring boxes from the working copy back to pixels of the photo."""
    if copy.scale == 1.0:
        return extraction
    defects = tuple(
        d.model_copy(update={"box": copy.box_in_photo(d.box)}) for d in extraction.defects
    )
    return extraction.model_copy(update={"defects": defects})


def _by_rule(step: str, reason: str) -> StepRecord:
    return StepRecord(
        step=step,
        architecture=Architecture.RULES,
        engine="rules",
        version="1",
        reason=reason,
        run_ms=0.0,
    )


def _timed(
    runtime: Runtime,
    step: str,
    ref: EngineRef,
    started: float,
    confidence: float | None,
    note: str,
) -> StepRecord:
    ms = (time.perf_counter() - started) * 1000
    return StepRecord(
        step=step,
        architecture=ref.architecture,
        engine=ref.engine,
        version=ref.version,
        reason=choose_for_step(step).reason + note,
        run_ms=round(ms, 3),
        confidence=confidence,
        cost_microusd=cost_microusd(ms, runtime.cost_per_hour),
    )


def _recorded(step: str, answer: CascadeAnswer[T], *, told: bool = True) -> StepRecord:
    """The record of a cascade; ``told``: its confidences are calibrated and tell why."""
    why = choose_for_step(step).reason
    return StepRecord(
        step=step,
        architecture=answer.ref.architecture,
        engine=answer.ref.engine,
        version=answer.ref.version,
        reason=f"{why}; {answer.reason}" if told or answer.escalated else why,
        run_ms=round(answer.run_ms, 3),
        confidence=answer.confidence if told else None,
        escalated=answer.escalated,
        to_person=answer.to_person,
        cost_microusd=answer.cost_microusd,
        ran=answer.ran,
    )


def _extraction_record(answer: Extracted) -> StepRecord:
    return StepRecord(
        step="extract",
        architecture=answer.ref.architecture,
        engine=answer.ref.engine,
        version=answer.ref.version,
        reason=f"{choose_for_step('extract').reason}; {answer.reason}",
        run_ms=round(sum(run.run_ms for run in answer.ran), 3),
        confidence=0.0 if answer.value.abstained else answer.value.confidence,
        escalated=answer.escalated,
        to_person=answer.to_person,
        cost_microusd=sum(run.cost_microusd for run in answer.ran),
        ran=answer.ran,
    )
