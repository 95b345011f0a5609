"""How far two people agree beyond chance: Cohen's kappa with a confidence interval.

Kappa: J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological
Measurement 20 (1960) 37-46. Its large-sample variance, for intervals: J. L. Fleiss, J. Cohen and
B. S. Everitt, "Large sample standard errors of kappa and weighted kappa", Psychological Bulletin 72
(1969) 323-327, equation 13; the same in Fleiss, Statistical Methods for Rates and Proportions,
2nd ed. (1981), equations 13.15 to 13.18.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

FEWEST_FOR_AN_INTERVAL = 10
"""With fewer cases a large-sample interval would say more than is known."""
NO_WIDTH = 1e-7


@dataclass(frozen=True, slots=True)
class Kappa:
    """Agreement on ``cases`` labels. ``observed`` and ``expected`` are shares of equal labels, as
    seen and by chance. ``value`` is None where chance alone makes all labels equal (both used one
    label only), interval and ``error`` also where cases are too few, or where the large-sample
    variance is 0 and so says nothing (one person used one label, or they never differed)."""

    cases: int
    observed: float
    expected: float
    value: float | None
    error: float | None = None
    low: float | None = None
    high: float | None = None


def cohen_kappa(pairs: Iterable[tuple[str, str]], confidence: float = 0.95) -> Kappa | None:
    """Kappa of pairs (what one said, what the other said) with its interval; None without pairs."""
    cells = Counter(pairs)
    cases = cells.total()
    if not cases:
        return None
    shares = {cell: count / cases for cell, count in cells.items()}
    rows, columns = _margins(shares)
    labels = sorted(rows.keys() | columns.keys())
    observed = sum(shares.get((label, label), 0.0) for label in labels)
    expected = sum(rows[label] * columns[label] for label in labels)
    if 1 - expected < 1e-12:
        return Kappa(cases, observed, expected, None)
    value = (observed - expected) / (1 - expected)
    if cases < FEWEST_FOR_AN_INTERVAL:
        return Kappa(cases, observed, expected, value)
    error = sqrt(_variance(shares, rows, columns, value, expected) / cases)
    if error < NO_WIDTH:
        return Kappa(cases, observed, expected, value)
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * error
    low, high = max(-1.0, value - reach), min(1.0, value + reach)
    return Kappa(cases, observed, expected, value, error, low, high)


def _margins(shares: dict[tuple[str, str], float]) -> tuple[Counter[str], Counter[str]]:
    """How often each person uses each label, as shares."""
    rows: Counter[str] = Counter()
    columns: Counter[str] = Counter()
    for (one, other), part in shares.items():
        rows[one] += part  # type: ignore[assignment]
        columns[other] += part  # type: ignore[assignment]
    return rows, columns


def _variance(
    shares: dict[tuple[str, str], float],
    rows: Counter[str],
    columns: Counter[str],
    value: float,
    expected: float,
) -> float:
    """Variance of kappa times the number of cases (A + B - C in Fleiss 1981, 13.16 to 13.18)."""
    equal = unequal = 0.0
    for (one, other), part in shares.items():
        if one == other:
            equal += part * (1 - (rows[one] + columns[one]) * (1 - value)) ** 2
        else:
            unequal += part * (columns[one] + rows[other]) ** 2
    rest = (value - expected * (1 - value)) ** 2
    return max(0.0, equal + (1 - value) ** 2 * unequal - rest) / (1 - expected) ** 2


def in_words(value: float | None) -> str:
    """Landis and Koch's words (Biometrics 33, 1977): a habit of speech, not a test."""
    if value is None:
        return "can't be told"
    bounds = ((0.8, "almost perfect"), (0.6, "substantial"), (0.4, "moderate"), (0.2, "fair"))
    for least, word in bounds:
        if value > least:
            return word
    return "slight" if value >= 0 else "poor"
