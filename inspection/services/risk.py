"""Writes of the risk dial: set, chosen anew, switched off; and what it said of a unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from django.db import transaction

from inspection.models import Membership, Plan, RiskDial, RiskGate, Run
from inspection.models.choices import Role
from inspection.selectors import risk as reads
from models_runtime.calibration import (
    calibration_noise,
    debiased_calibration_error,
    expected_calibration_error,
    reliability,
)
from models_runtime.risk.chances import ANY_DEFECT, class_names
from models_runtime.risk.dial import (
    Flags,
    Numbers,
    RiskPlan,
    choose_thresholds,
    passes,
    shaping_part,
)
from models_runtime.risk.gate import GateWord, Unit

CONFIDENCES = (0.9, 0.95, 0.99)
LARGEST_RATE = 0.5
CURVE_RATES = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12,
    0.15, 0.2,
)  # fmt: skip
FEWEST_FOR_A_DIAGRAM = 30


@dataclass(frozen=True, slots=True)
class Known:
    """The labels as arrays: chances (units, classes), truth and who shapes (units,)."""

    chances: Numbers
    defective: Flags
    shaping: Flags

    @classmethod
    def of(cls, labels: list[reads.Label], classes: tuple[str, ...]) -> Known:
        chances = [[label.chances[name] for name in classes] for label in labels]
        return cls(
            np.array(chances, np.float64).reshape(-1, len(classes)),
            np.array([label.is_defective for label in labels], np.bool_),
            shaping_part([str(label.inspection_id) for label in labels]),
        )

    def choose(self, rate: float, confidence: float) -> RiskPlan:
        """Thresholds for a stated rate."""
        return choose_thresholds(self.chances, self.defective, rate, confidence, self.shaping)


class DialRefusedError(Exception):
    """The dial can't be set so; the message says what to do."""


@transaction.atomic
def set_dial(
    membership: Membership,
    plan: Plan,
    *,
    largest_escape: float,
    check_share: float,
    confidence: float = 0.95,
    based_on: int | None = None,
) -> RiskDial:
    """State the largest escape rate, and choose thresholds from the labels there are now.

    ``check_share`` of the units that pass go to a person all the same. ``based_on`` is the number
    of the setting the page was opened with: DialRefusedError where somebody set another since.
    """
    _check(largest_escape, check_share, confidence)
    locked, last = _locked(membership, plan, based_on)
    version = locked.current
    if version is None:
        raise DialRefusedError("This plan has no version yet. Save it first.")
    classes = class_names(version.parsed())
    engines = reads.engines_in_use(locked)
    labels = reads.labels_of(locked, classes, engines)
    known = Known.of(labels, classes)
    chosen = known.choose(largest_escape, confidence)
    thresholds = dict(zip(classes, chosen.thresholds, strict=True)) if chosen.passes_any else {}
    figures = _figures(locked, classes, labels, known, chosen, engines)
    dial: RiskDial = RiskDial.objects.create(
        site_id=membership.site_id,
        plan=locked,
        number=(last.number if last else 0) + 1,
        plan_version=version,
        is_on=True,
        largest_escape=largest_escape,
        confidence=confidence,
        check_share=check_share,
        thresholds=thresholds,
        engines=engines,
        figures=figures,
        created_by=membership.user,
    )
    return dial


@transaction.atomic
def switch_off(membership: Membership, plan: Plan, based_on: int | None = None) -> RiskDial:
    """Units go by triage alone again. What was set stays to be read."""
    locked, last = _locked(membership, plan, based_on)
    if last is None or not last.is_on:
        raise DialRefusedError("The dial is off already.")
    dial: RiskDial = RiskDial.objects.create(
        site_id=membership.site_id,
        plan=locked,
        number=last.number + 1,
        plan_version=last.plan_version,
        is_on=False,
        largest_escape=last.largest_escape,
        confidence=last.confidence,
        check_share=last.check_share,
        created_by=membership.user,
    )
    return dial


def record_gate(
    run: Run, dial_id: UUID, plan_id: UUID, unit: Unit, word: GateWord, *, is_asked: bool
) -> None:
    """Keep what the dial said of a unit, inside triage's transaction. A unit that a person has
    judged before is not drawn any more: its verdict came about for another reason."""
    known: RiskGate | None = RiskGate.objects.filter(inspection=run.inspection_id).first()
    fresh = word.drawn and run.inspection.decided_by_id is None
    RiskGate.objects.update_or_create(
        inspection_id=run.inspection_id,
        defaults={
            "site_id": run.site_id,
            "plan_id": plan_id,
            "dial_id": dial_id,
            "chances": dict(unit.chances),
            "engine": unit.engine,
            "is_asked": is_asked,
            "is_eligible": word.eligible,
            "is_below": word.below,
            "is_drawn": fresh or (known is not None and known.is_drawn),
        },
    )


def _locked(
    membership: Membership, plan: Plan, based_on: int | None
) -> tuple[Plan, RiskDial | None]:
    """The plan, for us alone until the end of the transaction, and its newest setting."""
    if not membership.allows(Role.MANAGER):
        raise DialRefusedError("Only quality managers set the risk dial.")
    rows = Plan.objects.for_site(membership.site).select_for_update(of=("self",), no_key=True)
    locked: Plan = rows.select_related("current").get(pk=plan.pk)
    last = reads.dial_of(locked)
    if based_on is not None and based_on != (last.number if last else 0):
        raise DialRefusedError("Somebody has set the dial meanwhile. Reload the page first.")
    return locked, last


def _check(largest_escape: float, check_share: float, confidence: float) -> None:
    if not 0 < largest_escape <= LARGEST_RATE:
        raise DialRefusedError("The largest escape rate must be above 0 and at most 50 %.")
    if not 0 < check_share <= 1:
        raise DialRefusedError(
            "Between 0 and 100 % of the passing units must be checked, more than none: without a "
            "check nobody would see an escape."
        )
    if confidence not in CONFIDENCES:
        raise DialRefusedError("Choose a confidence of 90, 95 or 99 %.")


def _figures(
    plan: Plan,
    classes: tuple[str, ...],
    labels: list[reads.Label],
    known: Known,
    chosen: RiskPlan,
    engines: list[str],
) -> dict[str, Any]:
    """What the page shows of this choice, as plain JSON."""
    by_class = reads.labels_by_class(labels)
    return {
        "labels": len(labels),
        "defective": sum(label.is_defective for label in labels),
        "tested": chosen.tested,
        "shaping": chosen.shaping,
        "passed": chosen.passed,
        "escaped": chosen.escaped,
        "fewest": chosen.fewest,
        "missing": chosen.missing,
        "by_class": {name: by_class.get(name, 0) for name in classes if name != ANY_DEFECT},
        "curve": _curve(known, chosen),
        "load": _load(plan, classes, chosen, engines),
        "calibration": _calibration(known.chances[:, classes.index(ANY_DEFECT)], known.defective),
    }


def _curve(known: Known, chosen: RiskPlan) -> list[list[float]]:
    """[stated rate, share that passes, share of those defective] for each rate of the curve."""
    rates = sorted({*CURVE_RATES, chosen.largest_escape})
    points = []
    for rate in rates:
        plan = known.choose(rate, chosen.confidence)
        seen = plan.escaped / plan.passed if plan.passed else 0.0
        points.append([rate, round(plan.pass_share, 5), round(seen, 5)])
    return points


def _load(
    plan: Plan, classes: tuple[str, ...], chosen: RiskPlan, engines: list[str]
) -> dict[str, int]:
    """Of the newest units: how many the models alone would accept, and how many of those pass."""
    rows = reads.recent_gates(plan)
    able = [
        [row.chances[name] for name in classes]
        for row in rows
        if row.is_eligible and row.engine in engines and set(row.chances) == set(classes)
    ]
    below = int(passes(chosen.thresholds, np.array(able)).sum()) if able else 0
    return {
        "units": len(rows),
        "asked": sum(row.is_asked for row in rows),
        "eligible": sum(row.is_eligible for row in rows),
        "below": below,
    }


def _calibration(chance: Numbers, truth: Flags) -> dict[str, Any] | None:
    """Reliability of the chance of any defect on the site's own labels; None where too few."""
    if len(truth) < FEWEST_FOR_A_DIAGRAM:
        return None
    noise = calibration_noise(chance, binning="equal mass")
    return {
        "error": expected_calibration_error(chance, truth, binning="equal mass"),
        "debiased": debiased_calibration_error(chance, truth),
        "noise": noise.mean,
        "noise_limit": noise.limit,
        "bins": [
            [found.confidence, found.accuracy, *found.interval(), found.count]
            for found in reliability(chance, truth, binning="equal mass")
        ],
    }
