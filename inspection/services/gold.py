"""Gold units: units whose right answer is known, which look like any other and grade reviewers."""

from __future__ import annotations

import copy
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from inspection.models import (
    AttributeValue,
    Finding,
    GoldUnit,
    Inspection,
    Judgement,
    JudgingRule,
    Membership,
    Review,
    Round,
    Run,
    StepRun,
)
from inspection.models.base import new_id
from inspection.models.choices import (
    FindingSourceChoice,
    FindingStatus,
    InspectionStatus,
    ReviewKind,
    Role,
    RoundKind,
    RoundState,
    RunStatus,
)
from inspection.selectors.rounds import is_open
from inspection.services import sealing
from inspection.services.inspections import LONGEST_REFERENCE, storable
from models_runtime.risk.dial import part_of

MIX = "gold unit"
"""The purpose of the draw of whether a reviewer's next unit is a gold one."""


class GoldRefusedError(Exception):
    """It can't be a gold unit; the message says what to do."""


@transaction.atomic
def make_gold(
    membership: Membership, source: Inspection, reference: str = "", note: str = ""
) -> GoldUnit:
    """Let a unit that a person has decided grade reviewers.

    The answer is its disposition and findings as they stand. What reviewers get is a copy that
    carries the models' word, under another reference, so that nothing leads to the original.
    """
    if not membership.allows(Role.MANAGER) or source.site_id != membership.site_id:
        raise GoldRefusedError("Only a quality manager of this site makes gold units.")
    rows = Inspection.objects.for_site(membership.site).select_for_update(no_key=True)
    locked = rows.get(pk=source.pk)
    _check(locked)
    answer = sealing.word_on(locked)
    twin, ids = _copy(locked, storable(reference)[:LONGEST_REFERENCE] or disguised(locked))
    Round.objects.create(
        site_id=twin.site_id,
        inspection=twin,
        plan_id=twin.plan_id,
        kind=RoundKind.GOLD,
        state=RoundState.GOLD,
    )
    made: GoldUnit = GoldUnit.objects.create(
        site_id=twin.site_id,
        source=locked,
        inspection=twin,
        plan=locked.plan,
        disposition=locked.disposition,
        findings=[_moved(word, ids) for word in sealing.kept(answer)],
        note=storable(note)[:2000],
        created_by=membership.user,
    )
    return made


def _check(source: Inspection) -> None:
    if source.plan_id is None or source.decided_by_id is None or is_open(source.pk):
        raise GoldRefusedError("Decide the unit first: a person's final word is the answer.")
    if Round.objects.filter(inspection=source, kind=RoundKind.GOLD).exists():
        raise GoldRefusedError("This is a gold unit itself. Choose another one.")
    if GoldUnit.objects.filter(source=source, is_active=True).exists():
        raise GoldRefusedError("This unit is a gold unit already.")
    if source.runs.filter(status=RunStatus.RUNNING).exists():
        raise GoldRefusedError("The models are looking at it again. Try when they are done.")


def disguised(source: Inspection) -> str:
    """A reference of the same shape with other digits, the same for the same unit: "A-1023" may
    become "A-6180"."""
    digits = iter(f"{int(part_of(str(source.pk), MIX) * 10**18):018d}" * 12)
    return "".join(_other(c, next(digits)) if c.isdecimal() else c for c in source.reference)


def _other(digit: str, lot: str) -> str:
    """A digit that is not the one there was."""
    return str((int(digit) + 1 + int(lot) % 9) % 10)


Ids = dict[str, str]


def _copy(source: Inspection, reference: str) -> tuple[Inspection, Ids]:
    """The unit as the models saw it, and which row became which."""
    ids: Ids = {}
    run = source.current_run
    said = _models_word(source)
    twin = _row(
        source,
        reference=reference,
        status=InspectionStatus.REVIEW,
        current_run=None,
        earlier=None,
        decided_by=None,
        decided_at=None,
        **said,
    )
    photos = {photo.pk: _row(photo, inspection=twin) for photo in source.photos.all()}
    ids |= {str(old): str(new.pk) for old, new in photos.items()}
    if run is not None:
        new_run = _row(run, inspection=twin, number=1)
        _copy_steps(run, new_run, twin)
        Inspection.objects.filter(pk=twin.pk).update(current_run=new_run)
        twin.current_run = new_run
        before = sealing.before_verdicts(source)
        models = Finding.objects.filter(inspection=source, run=run, is_sealed=False)
        for finding in models.exclude(source=FindingSourceChoice.PERSON):
            made = _row(
                finding,
                inspection=twin,
                run=new_run,
                photo=photos[finding.photo_id],
                identity=new_id(),
                earlier=None,
                **(
                    {"status": FindingStatus.OPEN, "model_type": "", "model_severity": ""}
                    | before.get(finding.pk, {})
                ),
            )
            ids[str(finding.pk)] = str(made.pk)
    return twin, ids


def _models_word(source: Inspection) -> dict[str, Any]:
    """Disposition and severity before the first decision of a person."""
    first = Review.objects.filter(inspection=source, kind=ReviewKind.DISPOSITION).first()
    was = first.before.get("disposition") if first else ""
    return {"disposition": was or source.disposition}


def _copy_steps(run: Run, new_run: Run, twin: Inspection) -> None:
    for step in StepRun.objects.filter(run=run):
        _row(step, run=new_run)
    for value in AttributeValue.objects.filter(run=run):
        _row(value, run=new_run, inspection=twin)


def _row(row: Any, **changed: Any) -> Any:
    """A new row with the same values but those named. Columns that the database makes stay out."""
    made = copy.copy(row)
    made._state = copy.copy(row._state)
    made._state.adding = True
    made._state.fields_cache = {}
    made.pk = new_id()
    for name, value in changed.items():
        setattr(made, name, value)
    made.save(force_insert=True)
    return made


def _moved(word: dict[str, Any], ids: Ids) -> dict[str, Any]:
    """A word on the source as a word on the copy; what a person drew has no row there."""
    return word | {"id": ids.get(word["id"], ""), "photo": ids.get(word["photo"], "")}


@transaction.atomic
def retire(membership: Membership, gold: GoldUnit) -> None:
    """Give it to nobody any more. Grades stay; the copy ends with the answer, as the models' word,
    and no action ever goes out for it."""
    if not membership.allows(Role.MANAGER) or gold.site_id != membership.site_id:
        raise GoldRefusedError("Only a quality manager of this site retires gold units.")
    GoldUnit.objects.filter(pk=gold.pk).update(is_active=False)
    Round.objects.filter(inspection=gold.inspection_id, state=RoundState.GOLD).update(
        state=RoundState.FINAL, closed_at=timezone.now(), holder=None, holder_until=None
    )
    Inspection.objects.filter(pk=gold.inspection_id).update(
        status=InspectionStatus.DECIDED,
        disposition=gold.disposition,
        message="A unit with a known answer, which graded reviewers. It is used no more.",
    )


def next_gold(membership: Membership, skip: UUID | None = None) -> Inspection | None:
    """The gold unit that this person gets next, where the draw says that it is one's turn.

    The draw hangs on the person and on how much they have decided, so that asking again gives the
    same answer: ``sha256("gold unit:<user>:<decisions>")`` as in ``judging.DRAW``.
    """
    shares = dict(
        JudgingRule.objects.filter(site=membership.site, gold_share__gt=0).values_list(
            "plan", "gold_share"
        )
    )
    if not shares:
        return None
    decided = Review.objects.filter(
        site=membership.site, reviewer=membership.user, kind=ReviewKind.DISPOSITION
    ).count()
    lot = part_of(f"{membership.user_id}:{decided}", MIX)
    plans = [plan for plan, share in shares.items() if lot < share]
    seen = Judgement.objects.filter(reviewer=membership.user, withdrawn_at__isnull=True)
    ready = GoldUnit.objects.filter(site=membership.site, is_active=True, plan__in=plans)
    unseen = ready.exclude(inspection__in=seen.values("inspection")).exclude(
        inspection__round__holder_until__gt=timezone.now()
    )
    if skip is not None:
        unseen = unseen.exclude(inspection=skip)
    found = unseen.select_related("inspection").order_by("created_at").first()
    return found.inspection if found else None


__all__ = ["GoldRefusedError", "disguised", "make_gold", "next_gold", "retire"]
