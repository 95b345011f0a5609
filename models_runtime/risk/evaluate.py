"""Measure the risk dial on real photos with the shipped extractor.

    python -m models_runtime.risk.evaluate --data ../shared/data

Thresholds are chosen on the *holdout* split (a part of train that no gradient saw) and realised on
*val*, for each domain that has sound and defective photos. Then labels are drawn, with replacement,
from both splits together, as if these photos were all there are: the true escape rate is then known
exactly, so that the draws that break the bound can be counted, and how much passes with how many
labels; once as the photos are and once as if defective units were rare. Writes
``loupe_risk.metrics.json`` beside the weights and the tables of its card.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models_runtime.binomial import clopper_pearson
from models_runtime.contracts import Extractor
from models_runtime.registry import EngineSpec
from models_runtime.risk.chances import class_names, unit_chances
from models_runtime.risk.dial import RiskPlan, choose_thresholds, passes, realise, shaping_part
from models_runtime.training import vlm_data
from models_runtime.training.provenance import commit, processor
from models_runtime.training.vlm_data import Photo
from models_runtime.training.vlm_eval import PLANS, as_pixels
from models_runtime.vlm import weights
from models_runtime.vlm.embedded import load

NAME = "loupe_risk"
SEED = 1
CONFIDENCE = 0.95
RATES = (0.01, 0.05, 0.1, 0.2)
RATES_IF_RARE = (0.01, 0.02, 0.05)
FOLDERS = ("solar", "cookies", "toys")
DOMAINS = ("solar", "cookie", "toy")
"""Domains with sound and defective photos; on roads and walls every photo shows a crack."""
LABELS = (100, 300, 1000, 3000)
DRAWS = 100
DRAWN_DOMAIN = "solar"
RARE = 0.05
"""Share of defective units on a line that runs well; of the photos it is nearly one half."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Units:
    """Chances (units, classes) and truth (units,) of what the extractor did not abstain on."""

    chances: NDArray[np.float64]
    defective: NDArray[np.bool_]
    abstained: int

    def __len__(self) -> int:
        return len(self.defective)


def judged(engine: Extractor, photos: Sequence[Photo], domain: str) -> Units:
    """Ask the extractor of each photo, as a unit of its own, under the domain's plan."""
    plan = PLANS[domain]
    said = engine.extract([as_pixels(photo) for photo in photos], plan) if photos else []
    rows, truth = [], []
    for photo, one in zip(photos, said, strict=True):
        if not one.abstained:
            rows.append(list(unit_chances(plan, one.defect_probability, [one]).values()))
            truth.append(bool(photo.defective))
    chances = np.array(rows, dtype=np.float64).reshape(len(rows), len(class_names(plan)))
    return Units(chances, np.array(truth, bool), len(said) - len(rows))


def chosen(units: Units, rate: float) -> RiskPlan:
    """Thresholds as the application chooses them."""
    part = shaping_part([str(number) for number in range(len(units))])
    return choose_thresholds(units.chances, units.defective, rate, CONFIDENCE, part, SEED)


def realised_row(domain: str, rate: float, labels: Units, others: Units) -> Row:
    """Thresholds from the labels of one split, and what they do on the other."""
    plan = chosen(labels, rate)
    found = realise(plan.thresholds, others.chances, others.defective)
    rate_seen = found.escape_rate
    return {
        "domain": domain,
        "largest_escape": rate,
        "labels": len(labels),
        "defective_labels": int(labels.defective.sum()),
        "fewest": plan.fewest,
        "thresholds": [round(value, 4) for value in plan.thresholds],
        "units": found.units,
        "abstained": others.abstained,
        "passed": found.passed,
        "pass_share": _figure(found.passed, found.units),
        "escaped": found.escaped,
        "escape_rate": _figure(found.escaped, found.passed),
        "within": "nothing passes" if rate_seen is None else "yes" if rate_seen <= rate else "no",
    }


def drawn_row(pool: Units, defective_share: float, rate: float, labels: int) -> Row:
    """Draw labels from the pool many times; the pool is the truth."""
    draws = np.random.default_rng([SEED, labels, round(rate * 1000)])
    weight = np.where(
        pool.defective,
        defective_share / pool.defective.sum(),
        (1 - defective_share) / (~pool.defective).sum(),
    )
    shares, broken = [], 0
    for _ in range(DRAWS):
        picks = draws.choice(len(pool), labels, p=weight)
        plan = chosen(Units(pool.chances[picks], pool.defective[picks], 0), rate)
        through = passes(plan.thresholds, pool.chances)
        shares.append(float(weight[through].sum()))
        broken += float(weight[through & pool.defective].sum()) > rate * shares[-1]
    low, high = (float(np.quantile(shares, q)) for q in (0.05, 0.95))
    return {
        "domain": DRAWN_DOMAIN,
        "defective_share": round(defective_share, 4),
        "largest_escape": rate,
        "labels": labels,
        "pass_share": _rounded(float(np.mean(shares)), low, high, DRAWS),
        "broken": _figure(broken, DRAWS),
    }


def _figure(hits: int, cases: int) -> Row:
    """A share with its Clopper–Pearson interval; nothing is known of no case."""
    low, high = clopper_pearson(hits, cases)
    return _rounded(hits / cases if cases else None, low, high, cases)


def _rounded(mean: float | None, low: float, high: float, cases: int) -> Row:
    return {
        "mean": None if mean is None else round(mean, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "n": cases,
    }


def evaluate(engine: Extractor, photos: Sequence[Photo]) -> tuple[list[Row], list[Row]]:
    """Rows of both tables."""
    known = [photo for photo in photos if photo.defective is not None]
    split = {
        (domain, part): judged(
            engine, [p for p in known if p.domain == domain and p.split == part], domain
        )
        for domain in DOMAINS
        for part in ("holdout", "val")
    }
    realised = [
        realised_row(domain, rate, split[domain, "holdout"], split[domain, "val"])
        for domain in DOMAINS
        for rate in RATES
    ]
    first, second = split[DRAWN_DOMAIN, "holdout"], split[DRAWN_DOMAIN, "val"]
    pool = Units(
        np.concatenate([first.chances, second.chances]),
        np.concatenate([first.defective, second.defective]),
        first.abstained + second.abstained,
    )
    mixes = ((float(pool.defective.mean()), RATES), (RARE, RATES_IF_RARE))
    drawn = [
        drawn_row(pool, share, rate, labels)
        for share, rates in mixes
        for rate in rates
        for labels in LABELS
    ]
    return realised, drawn


REALISED_HEAD = (
    "| photos | largest escape rate | labels (defective) | pass without a person | interval "
    "| escapes | escape rate, interval | within |\n|---|---|---|---|---|---|---|---|\n"
)
DRAWN_HEAD = (
    "| defective | largest escape rate | labels | pass without a person | 5 % to 95 % of draws "
    "| draws over the rate | interval |\n|---|---|---|---|---|---|---|\n"
)


def with_tables(card: str, realised: Sequence[Row], drawn: Sequence[Row]) -> str:
    """The card with these rows in the place of its tables. ValueError where it has none."""
    card = _with_rows(card, REALISED_HEAD, [_realised_line(row) for row in realised])
    return _with_rows(card, DRAWN_HEAD, [_drawn_line(row) for row in drawn])


def _with_rows(card: str, head: str, lines: list[str]) -> str:
    before, found, after = card.partition(head)
    if not found:
        raise ValueError("the card lacks a table that starts with: " + head.splitlines()[0])
    rest = after[after.index("\n\n") :] if "\n\n" in after else "\n"
    return before + head + "\n".join(lines) + rest


def _realised_line(row: Row) -> str:
    share, seen = row["pass_share"], row["escape_rate"]
    escapes = "–" if seen["mean"] is None else f"{_percent(seen['mean'])}, {_interval(seen)}"
    return (
        f"| {row['domain']} | {row['largest_escape']:.0%} "
        f"| {row['labels']} ({row['defective_labels']}) "
        f"| {row['passed']} of {row['units']}, {_percent(share['mean'])} | {_interval(share)} "
        f"| {row['escaped']} | {escapes} | {row['within']} |"
    )


def _drawn_line(row: Row) -> str:
    share, broken = row["pass_share"], row["broken"]
    return (
        f"| {row['defective_share']:.0%} | {row['largest_escape']:.0%} | {row['labels']} "
        f"| {_percent(share['mean'])} "
        f"| {_interval(share)} | {_percent(broken['mean'])} | {_interval(broken)} |"
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _interval(figure: Row) -> str:
    return f"{figure['low']:.1%} to {figure['high']:.1%}"


def main() -> None:
    """Command line of the evaluation."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", default="", help="another .safetensors than the shipped one")
    parser.add_argument("--to", type=Path, default=weights.FOLDER / f"{NAME}.metrics.json")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    engine = load(EngineSpec("embedded", args.weights))
    realised, drawn = evaluate(engine, vlm_data.load(args.data, FOLDERS))
    told = {
        "model": engine.ref.version,
        "command": "python -m models_runtime.risk.evaluate --data ../shared/data",
        "split": "chosen on holdout, realised on val; draws from both",
        "confidence": CONFIDENCE,
        "seed": SEED,
        "draws": DRAWS,
        "interval": "95 % Clopper–Pearson; of the drawn pass share the 5 % and 95 % quantile",
        "machine": f"{processor()}, {args.threads} thread(s), torch {torch.__version__}",
        "commit": commit(),
        "realised": realised,
        "drawn": drawn,
    }
    args.to.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    card = weights.FOLDER / f"{NAME}.md"
    if args.to.parent == card.parent:
        card.write_text(with_tables(card.read_text(), realised, drawn))


if __name__ == "__main__":
    main()
