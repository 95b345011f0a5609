"""Route: which plan fits, where the sender named none."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from inspection.models import Inspection, Plan, Run
from inspection.models.choices import DispositionChoice, InspectionStatus, StepName
from inspection.pipeline.photos import PhotoRef, pixels, usable_photos
from inspection.pipeline.runtime import runtime
from inspection.pipeline.step import Step, Trace, traced
from models_runtime.errors import InputError
from models_runtime.plans import PlanSpec

CHOOSE = "No plan fits these photos clearly. Choose the plan, and run the inspection again."


@dataclass(frozen=True, slots=True)
class Question:
    """The site's plans in force, and what there is to go by."""

    plans: tuple[tuple[UUID, PlanSpec], ...]
    words: str
    photo: PhotoRef | None


def skip(run: Run) -> str:
    return "The plan was chosen before." if run.inspection.plan_id else ""


def load(run: Run) -> Question:
    """Raises InputError for a site without plans."""
    rows = Plan.objects.filter(site=run.site_id, is_active=True, current__isnull=False)
    plans = tuple((p.pk, p.current.parsed()) for p in rows.select_related("current"))
    if not plans:
        raise InputError("There is no inspection plan yet. Make one, and run the inspection again.")
    unit = run.inspection
    words = " ".join(part for part in (unit.note, unit.reference) if part)
    return Question(plans, words, next(iter(usable_photos(run)), None))


def compute(question: Question) -> tuple[UUID | None, Trace]:
    """The plan that is nearest in meaning to the words, the first photo and its name, or None."""
    from models_runtime.inspector import photo_embedding, route_photo

    several = len(question.plans) > 1
    seen = photo_embedding(runtime(), pixels(question.photo)) if several and question.photo else ()
    specs = [spec for _, spec in question.plans]
    name = question.photo.name if question.photo else ""
    done = route_photo(runtime(), specs, question.words, seen, name)
    shares = {
        spec.name: round(share, 4) for spec, share in zip(specs, done.value.scores, strict=True)
    }
    chosen = None if done.value.plan is None else question.plans[done.value.plan][0]
    return chosen, traced([done.record], {"shares": shares})


def save(run: Run, plan_id: UUID | None) -> None:
    """Give the unit its plan; without one a person is asked for it."""
    unit = run.inspection
    if plan_id is None:
        Inspection.objects.filter(pk=unit.pk, decided_by__isnull=True).update(
            status=InspectionStatus.REVIEW,
            disposition=DispositionChoice.HOLD,
            message=CHOOSE,
            reasons=[CHOOSE],
        )
        return
    unit.plan = Plan.objects.select_related("current").get(pk=plan_id)
    unit.plan_version = unit.plan.current
    Inspection.objects.filter(pk=unit.pk).update(plan=unit.plan, plan_version=unit.plan_version)


ROUTE = Step(StepName.ROUTE, "vision", load, compute, save, skip)
