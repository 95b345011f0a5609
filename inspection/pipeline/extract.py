"""Extract: the plan's questions, asked of each photo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

from inspection.models import AttributeValue, Photo, PlanVersion, Run
from inspection.models.choices import StepName
from inspection.models.plan import EMBEDDING_SIZE
from inspection.pipeline.learned import LearnedRef, pin, runtime_with
from inspection.pipeline.photos import PhotoRef, pixels, usable_photos
from inspection.pipeline.step import Step, Trace, traced
from models_runtime.contracts import AttributeResult, Extraction
from models_runtime.plans import PlanSpec

if TYPE_CHECKING:
    from models_runtime.inspector import Done
    from models_runtime.runtime import Runtime

TOGETHER = 8
"""Photos in one pass; more would only hold more pixels in memory."""
NO_PLAN = "There is no plan to go by yet."


@dataclass(frozen=True, slots=True)
class Asked:
    """The plan, the unit's photos, the operator's words about it, and the site's own version of the
    models that judges it."""

    plan: PlanSpec
    photos: tuple[PhotoRef, ...]
    note: str = ""
    learned: LearnedRef | None = None


Answers = dict[UUID, Extraction]


def skip(run: Run) -> str:
    return "" if run.inspection.plan_version_id else NO_PLAN


def plan_of(run: Run) -> PlanSpec:
    """The plan version that this run goes by; steps without one are skipped."""
    version = run.inspection.plan_version_id
    if version is None:
        raise ValueError(f"run {run.pk} has no plan")
    return _spec(version)


@lru_cache(maxsize=64)
def _spec(version_id: UUID) -> PlanSpec:
    """Versions are written once, so what was read stays true."""
    version: PlanVersion = PlanVersion.objects.only("spec").get(pk=version_id)
    return version.parsed()


def load(run: Run) -> Asked:
    plan = plan_of(run)
    return Asked(plan, usable_photos(run), run.inspection.note, pin(run, plan))


def compute(asked: Asked) -> tuple[Answers, Trace]:
    (answered,) = compute_many([asked])
    return answered


def compute_many(units: Sequence[Asked]) -> list[tuple[Answers, Trace]]:
    """Units of one plan, their photos in as few passes as can be: those that one version judges."""
    made = []
    for learned, some in groupby(units, key=lambda asked: asked.learned):
        same = list(some)
        photos = [(ref, asked.note) for asked in same for ref in asked.photos]
        done = _extract(runtime_with(learned), same[0].plan, photos)
        made += [_answered(one.photos, list(islice(done, len(one.photos)))) for one in same]
    return made


def _answered(
    photos: Sequence[PhotoRef], done: Sequence[Done[Extraction]]
) -> tuple[Answers, Trace]:
    answers = {ref.id: one.value for ref, one in zip(photos, done, strict=True)}
    output = {"photos": {str(key): _plain(value) for key, value in answers.items()}}
    return answers, traced([one.record for one in done], output)


def _extract(
    engines: Runtime, plan: PlanSpec, photos: Sequence[tuple[PhotoRef, str]]
) -> Iterator[Done[Extraction]]:
    from models_runtime.inspector import extract_photos

    for first in range(0, len(photos), TOGETHER):
        some = photos[first : first + TOGETHER]
        seen = [replace(pixels(ref), note=note) for ref, note in some]
        yield from extract_photos(engines, seen, plan)


def _plain(extraction: Extraction) -> dict[str, object]:
    return extraction.model_dump(mode="json", exclude={"embedding"})


def save(run: Run, answers: Answers) -> None:
    for photo_id, extraction in answers.items():
        if len(extraction.embedding) == EMBEDDING_SIZE:
            Photo.objects.filter(pk=photo_id).update(embedding=list(extraction.embedding))
    AttributeValue.objects.filter(run=run).delete()
    AttributeValue.objects.bulk_create(
        AttributeValue(
            site_id=run.site_id,
            inspection=run.inspection,
            run=run,
            key=answer.key,
            value=answer.value,
            confidence=answer.confidence,
            abstained=answer.abstained,
            alternatives=answer.alternatives,
        )
        for answer in surest(answers.values())
    )


def surest(extractions: Iterable[Extraction]) -> list[AttributeResult]:
    """One answer per characteristic of the unit: of several photos the surest that did answer."""
    best: dict[str, AttributeResult] = {}
    for extraction in extractions:
        for answer in extraction.attributes:
            known = best.get(answer.key)
            if known is None or _rank(answer) > _rank(known):
                best[answer.key] = answer
    return list(best.values())


def _rank(answer: AttributeResult) -> tuple[bool, float]:
    return not answer.abstained and answer.value is not None, answer.confidence


def saved_extractions(run: Run) -> Answers:
    """What this run's extraction said of each photo, from its row."""
    photos = output_of(run, StepName.EXTRACT).get("photos", {})
    return {UUID(key): Extraction.model_validate(value) for key, value in photos.items()}


def output_of(run: Run, step: StepName) -> dict[str, Any]:
    """What a step of this run that is done has written down."""
    output: dict[str, Any] = run.steps.values_list("output", flat=True).get(step=step)
    return output


EXTRACT = Step(StepName.EXTRACT, "vision", load, compute, save, skip, compute_many)
