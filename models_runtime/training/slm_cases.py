"""Simulated inspections with a known truth, for the head that rates certainty.

There is no public set of inspections with findings, notes and the final verdict, so the truth is
drawn here and the evidence from the truth: findings whose confidence is the chance that they are
real, defects that were missed, an image score, a condition, and a *real* note of fitting concern.
What the head learns is how such evidence adds up; it is exactly as calibrated as the engines before
it are, and ``Site.shifted`` measures what happens where habits differ.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models_runtime.slm import features
from models_runtime.slm.features import CaseNumbers, Seen

Concern = tuple[float, float, float]

NOTE_GIVEN_TRUTH: tuple[tuple[float, float, float, float], ...] = (
    (0.40, 0.48, 0.10, 0.02),
    (0.20, 0.35, 0.42, 0.03),
    (0.08, 0.22, 0.60, 0.10),
    (0.03, 0.12, 0.40, 0.45),
)
"""P(settled, routine, defect, danger | worst severity none, minor, major, critical)."""
MISSED_SEVERITY = (0.55, 0.33, 0.12)
CONDITION = (0.85, 0.72, 0.52, 0.38)


@dataclass(frozen=True, slots=True)
class Site:
    """How one site's inspections are made."""

    findings_per_unit: float
    missed: float
    separation: float
    severities: tuple[float, float, float]
    noted: float

    @classmethod
    def drawn(cls, rng: random.Random) -> Site:
        weights = [rng.uniform(0.1, 1.0) for _ in range(3)]
        total = sum(weights)
        return cls(
            findings_per_unit=rng.uniform(0.3, 1.8),
            missed=rng.uniform(0.01, 0.12),
            separation=rng.uniform(1.2, 3.5),
            severities=(weights[0] / total, weights[1] / total, weights[2] / total),
            noted=rng.uniform(0.2, 0.7),
        )

    @classmethod
    def shifted(cls) -> Site:
        """Habits at the edge of what was trained: many misses, a weak image score, many notes."""
        return cls(1.8, 0.15, 1.0, (0.7, 0.2, 0.1), 0.8)


@dataclass(frozen=True, slots=True)
class LabelledCase:
    """A feature row and the true worst severity (0 none … 3 critical)."""

    row: list[float]
    truth: int


def simulate(
    count: int,
    concerns: Mapping[int, Sequence[Concern]],
    seed: int,
    site: Site | None = None,
) -> list[LabelledCase]:
    """Draw ``count`` cases; ``concerns`` holds the encoder's reading of real notes per level."""
    # Simulation, not secrets: the plain generator is the right one.
    rng = random.Random(seed)  # noqa: S311
    cases = []
    for n in range(count):
        if n % 200 == 0:
            current = site or Site.drawn(rng)
        cases.append(_case(current, concerns, rng))
    return cases


def _case(
    site: Site, concerns: Mapping[int, Sequence[Concern]], rng: random.Random
) -> LabelledCase:
    in_domain = 1.0 - rng.random() ** 2 * 0.7 if rng.random() < 0.3 else rng.uniform(0.85, 1.0)
    seen, real = _candidates(site, in_domain, rng)
    missed_chance = min(0.9, site.missed * (1.0 + 4.0 * (1.0 - in_domain)))
    if rng.random() < missed_chance:
        real.append(1 + rng.choices(range(3), MISSED_SEVERITY)[0])
    truth = max(real, default=0)
    asked = rng.random() < 0.5
    numbers = CaseNumbers(
        findings=tuple(seen),
        defect_probability=_image_score(truth > 0, site.separation * in_domain, rng),
        in_domain=in_domain,
        worst_condition=_clip(rng.gauss(CONDITION[truth], 0.18)) if asked else 1.0,
        attribute_confidence=_clip(rng.gauss(0.55 + 0.35 * in_domain, 0.1)),
        attributes_abstained=_clip(rng.gauss(0.5 * (1.0 - in_domain), 0.1)),
        tolerated=rng.choices((0, 1, 2), (0.85, 0.1, 0.05))[0],
    )
    note = None
    if rng.random() < site.noted:
        level = rng.choices(range(4), NOTE_GIVEN_TRUTH[truth])[0]
        note = rng.choice(concerns[level])
    return LabelledCase(features.row(numbers, note), truth)


def _candidates(site: Site, in_domain: float, rng: random.Random) -> tuple[list[Seen], list[int]]:
    """Findings as an extractor gives them, and the true severities (1..3) of the real ones."""
    seen: list[Seen] = []
    real: list[int] = []
    for _ in range(_poisson(site.findings_per_unit, rng)):
        confidence = rng.betavariate(4.0, 1.6)
        severity = rng.choices(range(3), site.severities)[0]
        # Off its domain an extractor is less right than it says.
        chance = 0.35 + (confidence - 0.35) * (0.4 + 0.6 * in_domain)
        mask = _clip(rng.gauss(0.8, 0.12))
        area = min(1.0, rng.expovariate(1.0 / (0.01 * (1 + 2 * severity))))
        seen.append(Seen(severity, confidence, area, mask))
        if rng.random() < chance:
            step = rng.choices((-1, 0, 1), (0.07, 0.85, 0.08))[0]
            real.append(1 + min(2, max(0, severity + step)))
    return seen, real


def _image_score(defective: bool, separation: float, rng: random.Random) -> float:
    """Posterior of two unit normals ``separation`` apart with equal prior: calibrated at 50 %."""
    x = rng.gauss(separation / 2 if defective else -separation / 2, 1.0)
    return 1.0 / (1.0 + math.exp(-separation * x))


def _poisson(mean: float, rng: random.Random) -> int:
    limit, product, n = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        n += 1
    return n


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value))
