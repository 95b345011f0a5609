"""The page of one inspection, and the verdicts given on it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.http import require_POST, require_safe

from inspection.access import MemberRequest, member_required
from inspection.models import Finding, Inspection, Plan
from inspection.models.choices import DispositionChoice, RejectReason, Role, SeverityChoice
from inspection.selectors import inspections as reads
from inspection.selectors.earlier import earlier_choices
from inspection.selectors.evidence import gather, overlay
from inspection.selectors.plans import active_plans
from inspection.services import reviews, runs
from inspection.services.earlier import EarlierRefusedError, choose_earlier
from inspection.services.undo import undo
from inspection.views.queue import unit_context
from inspection.views.turn import turn

REJECT_KEYS = "drpuwsbo"
"""One key for each reason of the catalogue, in its order."""
REJECT_REASONS = [
    (key, *reason) for key, reason in zip(REJECT_KEYS, RejectReason.choices, strict=True)
]


def find(request: MemberRequest, pk: UUID) -> Inspection:
    """The site's inspection with all that the page names, or 404."""
    rows = Inspection.objects.for_site(request.membership.site).select_related(
        "plan", "plan_version", "current_run", "created_by", "decided_by", "site"
    )
    inspection: Inspection = get_object_or_404(rows.defer("search"), pk=pk)
    return inspection


def page_context(request: MemberRequest, inspection: Inspection) -> dict[str, Any]:
    evidence = gather(inspection, request.user)
    may_look_again = _may_look_again(request, inspection, evidence.is_live)
    return {
        "inspection": inspection,
        "evidence": evidence,
        "turn": turn(request.membership, inspection, evidence),
        "reject_reasons": REJECT_REASONS,
        "overlay": overlay(evidence),
        "dispositions": DispositionChoice.choices,
        "severities": SeverityChoice.choices,
        "may_review": request.membership.allows(Role.REVIEWER),
        "may_approve": request.membership.allows(Role.MANAGER),
        "may_look_again": may_look_again,
        "plans": _plans_for(inspection) if may_look_again else [],
        "earlier_choices": earlier_choices(inspection) if may_look_again else [],
    }


def _may_look_again(request: MemberRequest, inspection: Inspection, is_live: bool) -> bool:
    """Managers; and everybody while no plan was found, for otherwise nothing comes of the unit."""
    if request.membership.allows(Role.MANAGER):
        return True
    return inspection.plan_id is None and not is_live and active_plans(inspection.site).exists()


def _plans_for(inspection: Inspection) -> list[Plan]:
    """The plans to choose from; the unit's own too where it was switched off."""
    plans = list(active_plans(inspection.site))
    own = inspection.plan
    return plans if own is None or own in plans else [own, *plans]


@require_safe
@member_required()
def inspection(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Photo with findings over it, what was read and decided, and how."""
    found = find(request, pk)
    context = page_context(request, found) | {"similar": reads.similar_cases(found)}
    return render(request, "inspections/page.html", context | unit_context(request, found))


@require_safe
@member_required()
def live(request: MemberRequest, pk: UUID) -> HttpResponse:
    """The parts that change while models are at work."""
    found = find(request, pk)
    context = page_context(request, found)
    if not context["evidence"].is_live:
        context["similar"] = reads.similar_cases(found)
    return render(request, "inspections/parts.html", context)


@require_POST
@member_required(Role.REVIEWER)
def judge_finding(request: MemberRequest, pk: UUID, finding_pk: UUID) -> HttpResponse:
    """Confirm, reject or change one finding."""
    found = find(request, pk)
    finding = get_object_or_404(Finding, inspection=found, pk=finding_pk)
    try:
        _judge(request, finding)
    except reviews.ReviewRefusedError as error:
        return _refused(request, found, error)
    return _answer(request, found)


def _judge(request: MemberRequest, finding: Finding) -> None:
    sent = request.POST
    key, comment = sent.get("client_key", ""), sent.get("comment", "")
    reason = sent.get("reason", "")
    match "reject" if reason else sent.get("act"):
        case "confirm":
            reviews.confirm_finding(request.membership, finding, key, comment)
        case "reject":
            reviews.reject_finding(request.membership, finding, key, comment, reason=reason)
        case "change":
            type = sent.get("type") or None
            severity = sent.get("severity") or None
            reviews.change_finding(
                request.membership, finding, key, type=type, severity=severity, comment=comment
            )
        case _:
            raise reviews.ReviewRefusedError("Confirm, reject or change the finding.")


@require_POST
@member_required(Role.REVIEWER)
def decide(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Settle the disposition."""
    found = find(request, pk)
    sent = request.POST
    disposition, key = sent.get("disposition", ""), sent.get("client_key", "")
    try:
        reviews.decide(request.membership, found, disposition, key, sent.get("comment", ""))
    except reviews.ReviewRefusedError as error:
        return _refused(request, found, error)
    return _answer(request, found)


@require_POST
@member_required(Role.REVIEWER)
def take_back(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Take back one's own verdict, named by the key that it was given with."""
    found = find(request, pk)
    sent = request.POST
    try:
        undone = undo(request.membership, found, sent.get("of", ""), sent.get("client_key", ""))
    except reviews.ReviewRefusedError as error:
        return _refused(request, found, error)
    answer = _answer(request, found)
    answer["X-Message"] = _ascii(undone.note)
    return answer


@require_POST
@member_required()
def rerun(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Let the models look again, by another plan where one is sent; verdicts of people stay."""
    found = find(request, pk)
    is_manager = request.membership.allows(Role.MANAGER)
    if found.plan_id is not None and not is_manager:
        raise PermissionDenied(f"This needs the role {Role.MANAGER.label.lower()}.")
    plan = _plan_sent(request, found)
    if plan is None and not is_manager:
        messages.error(request, "Choose the plan first.")
    elif _earlier_chosen(request, found):
        _look_again(request, found, plan)
    return HttpResponseRedirect(reverse("inspection", args=[found.pk]))


def _earlier_chosen(request: MemberRequest, found: Inspection) -> bool:
    """Keep what was chosen to compare with, where the form asked; tell what is wrong with it."""
    sent = request.POST.get("earlier")
    if sent is None:
        return True
    chosen = reads.parse_id(sent)
    try:
        if sent and chosen is None:
            raise EarlierRefusedError("There is no such inspection. Choose one of this site.")
        choose_earlier(found, chosen)
    except EarlierRefusedError as error:
        messages.error(request, str(error))
        return False
    return True


def _plan_sent(request: MemberRequest, found: Inspection) -> Plan | None:
    """The chosen plan, None where it is the unit's own or none; 404 for no plan of the site."""
    key = request.POST.get("plan", "")
    if not key or (found.plan is not None and key == found.plan.key):
        return None
    plans = {plan.key: plan for plan in active_plans(request.membership.site)}
    if key not in plans:
        raise Http404("no such plan")
    return plans[key]


def _look_again(request: MemberRequest, found: Inspection, plan: Plan | None) -> None:
    runs.start_run(found, request.membership.user, plan)
    if plan is not None and found.plan_id != plan.pk:
        # A run was under way, and goes on by the plan that it began with.
        messages.error(request, "The models are still at work. Choose the plan when they are done.")


def _answer(request: MemberRequest, found: Inspection) -> HttpResponse:
    """The parts of the page as they are now, or the page for a form sent without JavaScript."""
    if not _is_htmx(request):
        return HttpResponseRedirect(reverse("inspection", args=[found.pk]))
    fresh = find(request, found.pk)
    context = page_context(request, fresh) | {"similar": reads.similar_cases(fresh)}
    return render(request, "inspections/parts.html", context)


def _refused(
    request: MemberRequest, found: Inspection, error: reviews.ReviewRefusedError
) -> HttpResponse:
    if _is_htmx(request):
        return HttpResponse(str(error), status=409, headers={"X-Message": _ascii(str(error))})
    messages.error(request, str(error))
    return HttpResponseRedirect(reverse("inspection", args=[found.pk]))


def _ascii(text: str) -> str:
    """Header values carry no other characters."""
    return text.replace("“", '"').replace("”", '"').encode("ascii", "ignore").decode()


def _is_htmx(request: HttpRequest) -> bool:
    return bool(getattr(request, "htmx", False))


urlpatterns = [
    path("inspections/<uuid:pk>/", inspection, name="inspection"),
    path("inspections/<uuid:pk>/live/", live, name="inspection-live"),
    path("inspections/<uuid:pk>/decide/", decide, name="decide"),
    path("inspections/<uuid:pk>/undo/", take_back, name="undo"),
    path("inspections/<uuid:pk>/rerun/", rerun, name="rerun"),
    path(
        "inspections/<uuid:pk>/findings/<uuid:finding_pk>/",
        judge_finding,
        name="judge-finding",
    ),
]
