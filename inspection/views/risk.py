"""The risk dial of a plan: set it, see what follows, and see whether it has held since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods, require_POST

from inspection.access import MemberRequest, member_required
from inspection.forms.risk import BasedOnForm, RiskDialForm
from inspection.models import Plan, RiskDial
from inspection.models.choices import Role
from inspection.selectors import risk as reads
from inspection.services import risk
from inspection.views.risk_charts import pass_curve, reliability_diagram
from models_runtime.binomial import clopper_pearson, lower_bound
from models_runtime.risk.chances import ANY_DEFECT
from models_runtime.risk.sequence import fewest_units

FIRST = {"largest_escape": 1, "check_share": 5, "confidence": "0.95", "based_on": 0}
"""What the form proposes where no dial was ever set."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its 95 % Clopper–Pearson interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, hits: int, cases: int, part: float = 1.0) -> Share | None:
        """``part`` of hits among cases; None without a case."""
        if not cases:
            return None
        low, high = clopper_pearson(hits, cases)
        return cls(part * hits / cases, part * low, part * high)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required(Role.MANAGER)
def risk_page(request: MemberRequest, key: str) -> HttpResponse:
    """The dial; posting sets it and chooses thresholds from the labels of now."""
    plan = _find(request, key)
    if request.method != "POST":
        return _page(request, plan, RiskDialForm(initial=_stated(plan)))
    form = RiskDialForm(request.POST)
    if not form.is_valid():
        return _page(request, plan, form, status=422)
    try:
        dial = risk.set_dial(request.membership, plan, **form.values())
    except risk.DialRefusedError as error:
        form.add_error(None, str(error))
        return _page(request, plan, form, status=409)
    messages.success(request, _told(dial))
    return HttpResponseRedirect(reverse("risk", args=[plan.key]))


@require_POST
@member_required(Role.MANAGER)
def risk_off(request: MemberRequest, key: str) -> HttpResponse:
    """Units go by triage alone again."""
    plan, form = _find(request, key), BasedOnForm(request.POST)
    try:
        if not form.is_valid():
            raise risk.DialRefusedError("Nothing was turned off. Reload the page first.")
        risk.switch_off(request.membership, plan, form.cleaned_data["based_on"])
    except risk.DialRefusedError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The dial is off: what passes is decided by triage alone again.")
    return HttpResponseRedirect(reverse("risk", args=[plan.key]))


def _find(request: MemberRequest, key: str) -> Plan:
    rows = Plan.objects.for_site(request.membership.site).select_related("current")
    plan: Plan = get_object_or_404(rows, key=key)
    return plan


def _told(dial: RiskDial) -> str:
    if dial.thresholds:
        return "The dial is set. New units pass by the thresholds below."
    return "The dial is set. Nothing passes yet: units that the models accept go to a person."


def _stated(plan: Plan) -> dict[str, Any]:
    """The newest setting in per cent, as the form shows it."""
    dial = reads.dial_of(plan)
    if dial is None:
        return FIRST
    return {
        "largest_escape": f"{dial.largest_escape * 100:g}",
        "check_share": f"{dial.check_share * 100:g}",
        "confidence": str(dial.confidence),
        "based_on": dial.number,
    }


def _page(
    request: MemberRequest, plan: Plan, form: RiskDialForm, *, status: int = 200
) -> HttpResponse:
    dials = list(reads.dials_of(plan)[:20])
    dial = dials[0] if dials else None
    context: dict[str, Any] = {"plan": plan, "form": form, "dial": dial, "dials": dials}
    context["examples"] = [(rate, fewest_units(0, rate, 0.05)) for rate in (0.01, 0.02, 0.05)]
    if dial is not None and dial.is_on:
        context |= _in_force(plan, dial)
    return render(request, "plans/risk.html", context, status=status)


def _in_force(plan: Plan, dial: RiskDial) -> dict[str, Any]:
    figures, since = dial.figures, reads.realised(dial)
    load, calibration = figures["load"], figures["calibration"]
    passing = Share.of(load["below"], load["units"], 1 - dial.check_share)
    return {
        "figures": figures,
        "passing": passing,
        "load": _review_load(load, dial.check_share),
        "of_labels": Share.of(figures["passed"], figures["tested"]),
        "since": since,
        "since_rate": Share.of(since.escaped, since.judged),
        "is_broken": lower_bound(since.escaped, since.judged, 0.95) > dial.largest_escape,
        "waiting": reads.waiting_labels(plan),
        "new_labels": reads.new_labels(dial),
        "classes": _classes(dial),
        "curve": pass_curve(figures["curve"], dial.largest_escape),
        "calibration": calibration,
        "diagram": reliability_diagram(calibration["bins"]) if calibration else None,
    }


def _review_load(load: dict[str, int], check_share: float) -> Share | None:
    """Units that go to a person: those triage asks for, those over a threshold, those checked."""
    over = load["eligible"] - load["below"]
    return Share.of(round(load["asked"] + over + check_share * load["below"]), load["units"])


def _classes(dial: RiskDial) -> list[dict[str, Any]]:
    """One row per class: its words, its threshold and how many labelled units show it."""
    spec = dial.plan_version.parsed()
    rows = [(ANY_DEFECT, "Any defect", dial.figures["defective"])]
    rows += [(d.key, d.name, dial.figures["by_class"].get(d.key, 0)) for d in spec.defects]
    return [
        {"name": name, "threshold": dial.thresholds.get(key), "labels": count}
        for key, name, count in rows
    ]


urlpatterns = [
    path("plans/<slug:key>/risk/", risk_page, name="risk"),
    path("plans/<slug:key>/risk/off/", risk_off, name="risk-off"),
]
