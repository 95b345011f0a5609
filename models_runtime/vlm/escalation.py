"""A cascade of extractors: the cheap one answers what it can, the dearer one only what is left.

What is left are characteristics without an answer (free text and numbers, for the embedded engine)
or with one below ``ANSWER_SURE``, and the state of the unit where the chance of a defect is nearer
to a coin toss than the plan's ``review_below``. Only those parts of the plan are asked, and of two
answers to a part the surer one stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from models_runtime.cascade import Called, EngineRun, Tier, call_engine
from models_runtime.contracts import (
    AttributeResult,
    EngineRef,
    Extraction,
    Extractor,
    PhotoPixels,
)
from models_runtime.errors import EngineError, FatalError, InputError
from models_runtime.plans import PlanSpec
from models_runtime.vlm.sureness import overall, state_sureness

ANSWER_SURE = 0.5
"""Calibrated confidence of an answer below which the next engine is asked."""
STATE = "defects"
"""The name, beside the keys of characteristics, of the question for defects."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """The extraction that counts, and which engine did what. ``escalated``: more than the first
    engine was asked. ``to_person``: what counts is still unsure."""

    value: Extraction
    ref: EngineRef
    ran: tuple[EngineRun, ...]
    escalated: bool
    to_person: bool
    reason: str


@dataclass
class _Case:
    """A photo on its way up. ``by``: for each part of the plan, the place in ``ran`` of the engine
    whose answer stands."""

    photo: PhotoPixels
    value: Extraction | None = None
    by: dict[str, int] = field(default_factory=dict)
    ran: list[EngineRun] = field(default_factory=list)
    refs: list[EngineRef] = field(default_factory=list)


def extract_by_cascade(
    tiers: Sequence[Tier[Extractor]], photos: Sequence[PhotoPixels], plan: PlanSpec
) -> list[Extracted]:
    """One result per photo. An engine that fails is passed over while another one can answer; where
    none answered, the last failure is raised, and InputError of the first engine at once."""
    if not tiers:
        raise FatalError("a cascade needs at least one engine")
    cases = [_Case(photo) for photo in photos]
    failure: EngineError | None = None
    for tier in tiers:
        groups: dict[PlanSpec, list[_Case]] = {}
        for case in cases:
            if (part := open_part(case.value, plan)) is not None:
                groups.setdefault(part, []).append(case)
        for part, some in groups.items():
            failure = _ask(tier, part, some, plan) or failure
    if failure is not None and any(case.value is None for case in cases):
        raise failure
    return [_settled(case, plan) for case in cases]


def open_part(known: Extraction | None, plan: PlanSpec) -> PlanSpec | None:
    """What of a plan is still to be asked; None where all of it is answered surely enough."""
    if known is None:
        return plan
    unsure = {a.key for a in known.attributes if a.abstained or a.confidence < ANSWER_SURE}
    sure_of_state = state_sureness(known.defect_probability) >= plan.policy.review_below
    state = bool(plan.defects) and (known.abstained or not sure_of_state)
    if not unsure and not state:
        return None
    return plan.model_copy(
        update={
            "characteristics": tuple(c for c in plan.characteristics if c.key in unsure),
            "defects": plan.defects if state else (),
            "playbook": (),
        }
    )


def parts_of(plan: PlanSpec) -> tuple[str, ...]:
    """The names of a plan's questions."""
    return (*(c.key for c in plan.characteristics), *((STATE,) if plan.defects else ()))


def _ask(
    tier: Tier[Extractor], part: PlanSpec, cases: list[_Case], plan: PlanSpec
) -> EngineError | None:
    called: Called[Extraction]
    try:
        called = call_engine(
            tier, lambda engine: engine.extract([c.photo for c in cases], part), len(cases)
        )
    except InputError as error:
        if any(case.value is None for case in cases):
            raise
        called = Called(_failed(tier, error), _ref(tier), (), error)
    run = called.run.model_copy(update={"asked": parts_of(part)})
    for number, case in enumerate(cases):
        place = len(case.ran)
        case.refs.append(called.ref)
        if called.error is not None:
            case.ran.append(run)
            continue
        answer = called.values[number]
        sure = 0.0 if answer.abstained else answer.confidence
        case.ran.append(run.model_copy(update={"confidence": sure}))
        case.value, better = merged(case.value, answer, plan)
        case.by |= dict.fromkeys(better, place)
    return called.error


def _ref(tier: Tier[Extractor]) -> EngineRef:
    return EngineRef(architecture=tier.architecture, engine=tier.name, version="")


def _failed(tier: Tier[Extractor], error: EngineError) -> EngineRun:
    ref = _ref(tier)
    return EngineRun(
        architecture=ref.architecture,
        engine=ref.engine,
        version=ref.version,
        run_ms=0.0,
        cost_microusd=0,
        error=str(error)[:500],
    )


def merged(
    known: Extraction | None, answer: Extraction, plan: PlanSpec
) -> tuple[Extraction, tuple[str, ...]]:
    """Both together, and the parts for which the new answer stands. ``answer`` may be to a part of
    the plan. Boxes and their chance are never mixed: they come from one engine."""
    if known is None:
        answered = {a.key for a in answer.attributes if not a.abstained}
        state = bool(plan.defects) and not answer.abstained
        return answer, tuple(p for p in parts_of(plan) if p in answered or (state and p == STATE))
    attributes, better = _surer(known, answer)
    state = _state_is_surer(known, answer, plan)
    abstained = known.abstained and answer.abstained
    shown = answer if state or (known.abstained and not answer.abstained) else known
    chance = shown.defect_probability if plan.defects else None
    value = Extraction(
        attributes=attributes,
        defects=shown.defects,
        defect_probability=shown.defect_probability if plan.defects else 0.0,
        in_domain=shown.in_domain,
        confidence=0.0 if abstained else overall(attributes, chance),
        abstained=abstained,
        reasons=tuple(dict.fromkeys(known.reasons + answer.reasons)) if abstained else (),
        embedding=known.embedding or answer.embedding,
        basis="; ".join(dict.fromkeys(b for b in (known.basis, answer.basis) if b)),
    )
    return value, (*better, *((STATE,) if state else ()))


def _surer(
    known: Extraction, answer: Extraction
) -> tuple[tuple[AttributeResult, ...], tuple[str, ...]]:
    """Of each characteristic the surer answer, and the keys for which that is the new one."""
    new = {a.key: a for a in answer.attributes if not a.abstained}
    better = tuple(
        old.key
        for old in known.attributes
        if old.key in new and (old.abstained or new[old.key].confidence > old.confidence)
    )
    return tuple(new[a.key] if a.key in better else a for a in known.attributes), better


def _state_is_surer(known: Extraction, answer: Extraction, plan: PlanSpec) -> bool:
    """An answer to a part without defects says 0 of them, which is no answer to the state."""
    open_ = open_part(known, plan)
    if not plan.defects or answer.abstained or open_ is None or not open_.defects:
        return False
    if known.abstained:
        return True
    return state_sureness(answer.defect_probability) > state_sureness(known.defect_probability)


def _settled(case: _Case, plan: PlanSpec) -> Extracted:
    assert case.value is not None
    ran = tuple(
        run.model_copy(update={"answered": tuple(k for k, by in case.by.items() if by == place)})
        for place, run in enumerate(case.ran)
    )
    value = case.value
    unsure = value.abstained or value.confidence < ANSWER_SURE
    return Extracted(
        value=value,
        ref=case.refs[_speaker(case, plan)],
        ran=ran,
        escalated=len(ran) > 1,
        to_person=unsure,
        reason=_in_words(ran, value) + ("; not sure, a person decides" if unsure else ""),
    )


def _speaker(case: _Case, plan: PlanSpec) -> int:
    """The engine that speaks for the whole: that of the state, else of the most answers, else the
    first one that said anything."""
    if plan.defects and STATE in case.by:
        return case.by[STATE]
    answered = list(case.by.values())
    if answered:
        return max(dict.fromkeys(answered), key=answered.count)
    return next((n for n, run in enumerate(case.ran) if run.confidence is not None), 0)


def _in_words(ran: tuple[EngineRun, ...], value: Extraction) -> str:
    told = "; ".join(_told(run) for run in ran)
    if len(ran) == 1:
        told = f"{ran[0].engine} was {value.confidence:.0%} sure"
    return f"{told} ({value.basis})" if value.basis else told


def _told(run: EngineRun) -> str:
    if run.error:
        return f"{run.engine} failed ({run.error})"
    given = listed(run.answered) or "nothing that counts"
    if set(run.answered) == set(run.asked):
        return f"{run.engine} answered {given}"
    return f"{run.engine} was asked for {listed(run.asked)} and answered {given}"


def listed(parts: Sequence[str], most: int = 6) -> str:
    """A few names in a row, and how many more there are."""
    names = [part.replace("_", " ").replace("-", " ") for part in parts]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
