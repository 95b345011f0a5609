"""Units of a plan as its risk dial has seen them, with verdicts of people, made by the hundred."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import numpy as np

from inspection.models import Inspection, Membership, Plan, Review, RiskDial, RiskGate
from models_runtime.risk.chances import ANY_DEFECT
from models_runtime.risk.dial import passes

ENGINE = "eyes 1"


@dataclass
class Units:
    """Makes units whose chances are honest: one stated at 50 % is defective in one of two. Those
    below 5 % are all sound, so that no test hangs on luck."""

    plan: Plan
    reviewer: Membership
    seed: int = 0

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Chances (units, any and each type) and truth (units,)."""
        rng = np.random.default_rng([self.seed, count])
        chance = np.where(rng.random(count) < 0.9, rng.beta(1, 200, count), rng.beta(3, 2, count))
        types = len(self.plan.current.parsed().defects)
        parts = chance[:, None] * rng.random((count, types))
        truth = (rng.random(count) < chance) & (chance > 0.05)
        return np.column_stack([chance, parts]), truth

    def judged(self, dial: RiskDial, count: int, engine: str = ENGINE) -> None:
        """Drawn units that a person has judged."""
        self.seen(dial, *self.draw(count), engine=engine)

    def seen(
        self,
        dial: RiskDial,
        chances: np.ndarray,
        truth: np.ndarray | None,
        *,
        drawn: bool = True,
        engine: str = ENGINE,
    ) -> list[Inspection]:
        """Units under a dial; ``truth`` None leaves them without a verdict."""
        classes = [ANY_DEFECT, *(d.key for d in self.plan.current.parsed().defects)]
        limits = [dial.thresholds.get(name, 0.0) for name in classes]
        units = Inspection.objects.bulk_create(
            Inspection(
                site=self.plan.site, plan=self.plan, plan_version=self.plan.current,
                status="review", disposition="accept",
            )
            for _ in chances
        )  # fmt: skip
        RiskGate.objects.bulk_create(
            RiskGate(
                site=self.plan.site, inspection=unit, plan=self.plan, dial=dial, engine=engine,
                chances=dict(zip(classes, map(float, row), strict=True)), is_asked=False,
                is_eligible=True, is_below=bool(below), is_drawn=drawn,
            )
            for unit, row, below in zip(units, chances, passes(limits, chances), strict=True)
        )  # fmt: skip
        if truth is not None:
            self.decide(units, truth)
        return units

    def decide(self, units: list[Inspection], truth: np.ndarray) -> None:
        """Verdicts: reject where defective."""
        Review.objects.bulk_create(
            Review(
                site=self.plan.site, inspection=unit, reviewer=self.reviewer.user,
                kind="disposition", after={"disposition": "reject" if wrong else "accept"},
                client_key=uuid.uuid4().hex,
            )
            for unit, wrong in zip(units, truth, strict=True)
        )  # fmt: skip
