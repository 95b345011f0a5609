"""The plan's acceptance policy as pure functions: from findings to severity to disposition.

These are hard bounds. No model, note or confidence makes a disposition better than they say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from models_runtime.contracts import Disposition, Finding
from models_runtime.plans import SEVERITY_ORDER, PlanSpec, Policy, Severity

LADDER: tuple[Disposition, ...] = (
    Disposition.ACCEPT,
    Disposition.REWORK,
    Disposition.HOLD,
    Disposition.REJECT,
)
"""From best to worst. HOLD stands above REWORK: where one finding asks for a person's decision and
another only for rework, the decision comes first."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say. ``severity`` is the worst that counts, None where nothing counts."""

    disposition: Disposition
    severity: Severity | None
    counted: tuple[Finding, ...]
    tolerated: tuple[Finding, ...]
    uncatalogued: tuple[Finding, ...]


def evaluate(plan: PlanSpec, findings: Iterable[Finding]) -> Verdict:
    """Apply tolerances and the policy; adding a finding never gives a better disposition."""
    counted: list[Finding] = []
    allowed: list[Finding] = []
    for finding in findings:
        (allowed if tolerated(plan, finding) else counted).append(finding)
    severity = worst(finding.severity for finding in counted)
    return Verdict(
        disposition=for_severity(plan.policy, severity),
        severity=severity,
        counted=tuple(counted),
        tolerated=tuple(allowed),
        uncatalogued=tuple(f for f in counted if plan.defect(f.type) is None),
    )


def tolerated(plan: PlanSpec, finding: Finding) -> bool:
    """True where the catalogue allows this area. Without a size in mm² nothing is tolerated."""
    entry = plan.defect(finding.type)
    if entry is None or entry.max_area_mm2 is None or finding.area_mm2 is None:
        return False
    return finding.area_mm2 <= entry.max_area_mm2


def for_severity(policy: Policy, severity: Severity | None) -> Disposition:
    """The disposition for a worst severity; a worse severity never gets a better one.

    A policy that is kinder to major than to minor findings is read as equally strict.
    """
    if severity is None:
        return Disposition.ACCEPT
    upto = SEVERITY_ORDER[: SEVERITY_ORDER.index(severity) + 1]
    return worse(Disposition(getattr(policy, step.value)) for step in upto)


def worst(severities: Iterable[Severity]) -> Severity | None:
    """The worst of the severities, None where there are none."""
    return max(severities, key=SEVERITY_ORDER.index, default=None)


def worse(dispositions: Iterable[Disposition]) -> Disposition:
    """The worst of the dispositions by LADDER; ACCEPT where there are none."""
    return max(dispositions, key=LADDER.index, default=Disposition.ACCEPT)


def raised(severity: Severity | None) -> Severity:
    """One step worse: none and minor become major, everything else critical."""
    return Severity.MAJOR if severity in (None, Severity.MINOR) else Severity.CRITICAL


def at_least(severity: Severity | None, bound: Severity) -> bool:
    """True where ``severity`` is ``bound`` or worse."""
    return severity is not None and SEVERITY_ORDER.index(severity) >= SEVERITY_ORDER.index(bound)
