"""Learning from reviewers: start it, compare what came out, let it go live or take it back."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.http import require_POST, require_safe

from inspection.access import MemberRequest, member_required
from inspection.forms.learning import CompareForm, DecisionForm
from inspection.models import ModelVersion, Plan
from inspection.models.choices import Role
from inspection.models.learning import Part
from inspection.selectors import learning as reads
from inspection.services import learning_jobs, learning_versions
from inspection.services.learning_jobs import LearningRefusedError

ON_A_PAGE = 50
WORDS = {
    "accuracy": ("Right", "accept or not is as people decided", True),
    "escapes": ("Escapes", "defective, of the units that pass without a person", False),
    "overkill": ("Overkill", "not accepted, of the sound units", False),
    "asks": ("Go to a person", "of all units", False),
    "auroc": ("Ranking (AUROC)", "a defective unit gets a higher chance than a sound one", True),
    "error": ("Calibration error", "in brackets: what an honest model shows by chance", False),
}
"""Figure to its name, what it is, and whether more is better."""


@require_safe
@member_required(Role.MANAGER)
def learning_page(request: MemberRequest, key: str) -> HttpResponse:
    """How much there is to learn from, the job under way, and the versions."""
    plan = _find(request, key)
    context = _job_context(plan) | {
        "versions": list(reads.versions_of(plan)[:50]),
        "live": reads.live_version(plan),
    }
    return render(request, "learning/page.html", context)


@require_safe
@member_required(Role.MANAGER)
def job_state(request: MemberRequest, key: str) -> HttpResponse:
    """The part of the page that tells how far the job is."""
    plan = _find(request, key)
    context = _job_context(plan)
    response = render(request, "learning/job.html", context)
    if not context["is_open"]:
        response["HX-Refresh"] = "true"  # the versions below have changed
    return response


@require_POST
@member_required(Role.MANAGER)
def start(request: MemberRequest, key: str) -> HttpResponse:
    """Start learning in the background."""
    plan = _find(request, key)
    try:
        learning_jobs.start(request.membership, plan)
    except LearningRefusedError as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(reverse("learning", args=[plan.key]))


@require_POST
@member_required(Role.MANAGER)
def cancel(request: MemberRequest, key: str) -> HttpResponse:
    """Stop the job under way."""
    plan = _find(request, key)
    if not learning_jobs.cancel(request.membership, plan):
        messages.error(request, "There was no job to cancel: it has ended meanwhile.")
    return HttpResponseRedirect(reverse("learning", args=[plan.key]))


@require_safe
@member_required(Role.MANAGER)
def version_page(request: MemberRequest, key: str, number: int) -> HttpResponse:
    """The new version against the old one, on old verdicts and in the shadow."""
    version = _version(request, key, number)
    form = CompareForm(request.GET)
    chosen = form.chosen()
    in_range = {name: value for name, value in chosen.items() if name != "change"}
    rows = reads.compared(version, **in_range)
    picked = reads.compared(version, **chosen)
    context = {
        "plan": version.plan,
        "version": version,
        "form": form,
        "chosen": chosen.get("change", ""),
        "parts": [_part(version, part) for part in reads.PARTS],
        "heads": version.figures.get("heads", {}),
        "changes": [(*one, _address(request, one[0])) for one in reads.changes(rows)],
        "all_address": _address(request, ""),
        "findings": reads.finding_changes(rows),
        "page": Paginator(picked, ON_A_PAGE).get_page(request.GET.get("page")),
        "query": _query(request),
        "shadow": reads.shadowed(version),
        "live": reads.live_version(version.plan),
        "is_foreign": reads.base_has_changed(version),
    }
    return render(request, "learning/version.html", context)


@require_safe
@member_required(Role.MANAGER)
def labels_page(request: MemberRequest, key: str, number: int) -> HttpResponse:
    """Where a version comes from: each verdict, who gave it, and what the models had said."""
    version = _version(request, key, number)
    page = Paginator(reads.examples(version), ON_A_PAGE).get_page(request.GET.get("page"))
    context = {"plan": version.plan, "version": version, "page": page}
    return render(request, "learning/labels.html", context | {"set": version.training_set})


@require_POST
@member_required(Role.MANAGER)
def decide(request: MemberRequest, key: str, number: int) -> HttpResponse:
    """A manager's word on a version."""
    version, form = _version(request, key, number), DecisionForm(request.POST)
    try:
        if not form.is_valid():
            raise LearningRefusedError("Nothing was changed. Reload the page first.")
        messages.success(request, _act(request, version, form.cleaned_data["act"]))
    except LearningRefusedError as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(reverse("learning-version", args=[version.plan.key, number]))


def _act(request: MemberRequest, version: ModelVersion, act: str) -> str:
    who = request.membership
    if act == "accept":
        learning_versions.accept(who, version)
        return f"Version {version.number} is live: it judges new units from now on."
    if act == "decline":
        learning_versions.decline(who, version)
        return f"Version {version.number} is put aside."
    if act == "roll-back":
        before = learning_versions.roll_back(who, version)
        now = f"version {before.number}" if before else "the shipped models"
        return f"Version {version.number} is rolled back: {now} judge{'s' if before else ''} again."
    learning_versions.shadow(who, version, on=act == "shadow")
    if act == "shadow":
        return "The version looks at new photos too, without any effect."
    return "The version no longer looks at new photos."


def _find(request: MemberRequest, key: str) -> Plan:
    rows = Plan.objects.for_site(request.membership.site).select_related("current")
    plan: Plan = get_object_or_404(rows, key=key)
    return plan


def _version(request: MemberRequest, key: str, number: int) -> ModelVersion:
    rows = reads.versions_of(_find(request, key)).select_related(
        "plan", "training_set__plan_version"
    )
    version: ModelVersion = get_object_or_404(rows, number=number)
    return version


def _job_context(plan: Plan) -> dict[str, Any]:
    job = reads.latest_job(plan)
    return {
        "plan": plan,
        "job": job,
        "is_open": reads.is_open(job),
        "material": reads.material(plan),
        "has_catalogue": plan.current is not None and bool(plan.current.parsed().defects),
    }


def _part(version: ModelVersion, part: Part) -> dict[str, Any]:
    told = version.figures.get("parts", {}).get(part.value, {})
    rows = [
        row | dict(zip(("label", "what", "is_more_better"), WORDS[row["name"]], strict=True))
        for row in reads.figure_rows(version, part.value)
    ]
    for row in rows:
        row["trend"] = _trend(row)
    return {"part": part, "units": told.get("units", 0), "rows": rows}


def _trend(row: dict[str, Any]) -> str:
    """In words and colour, whether the new figure is better."""
    if not row["old"] or not row["new"]:
        return ""
    gain = row["new"]["mean"] - row["old"]["mean"]
    if abs(gain) < 0.0005:
        return "same"
    if row["name"] == "asks":
        return "more" if gain > 0 else "fewer"
    return "better" if (gain > 0) == row["is_more_better"] else "worse"


def _address(request: MemberRequest, change: str) -> str:
    """This page with another kind of change chosen."""
    query = request.GET.copy()
    query.pop("page", None)
    query["change"] = change
    return f"?{query.urlencode()}"


def _query(request: MemberRequest) -> str:
    query = request.GET.copy()
    query.pop("page", None)
    return f"{query.urlencode()}&" if query else ""


urlpatterns = [
    path("plans/<slug:key>/learning/", learning_page, name="learning"),
    path("plans/<slug:key>/learning/job/", job_state, name="learning-job"),
    path("plans/<slug:key>/learning/start/", start, name="learning-start"),
    path("plans/<slug:key>/learning/cancel/", cancel, name="learning-cancel"),
    path("plans/<slug:key>/learning/<int:number>/", version_page, name="learning-version"),
    path("plans/<slug:key>/learning/<int:number>/labels/", labels_page, name="learning-labels"),
    path("plans/<slug:key>/learning/<int:number>/decide/", decide, name="learning-decide"),
]
