"""The queue of reviews: its page, taking and giving back, undo of a verdict, and chosen keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from inspection.access import MemberRequest, member_required
from inspection.models import Inspection, KeyMap, ReviewTask, User
from inspection.models.choices import ReviewReason, Role, TaskStatus
from inspection.selectors.inspections import parse_id
from inspection.selectors.plans import active_plans
from inspection.selectors.queue import open_tasks, overview, reviewers_of, task_on
from inspection.services import queue_claims
from inspection.services.queue_claims import QueueRefusedError, Wanted

MOST_KEPT = 5
"""Tasks that one page has at a time: the one it shows and those it has fetched ahead."""
MOST_KEYS = 200
DUE_CHOICES = ((1, "in 1 hour"), (4, "in 4 hours"), (24, "in a day"), (72, "in 3 days"))
SHOWN_REASONS = [reason for reason in ReviewReason if reason is not ReviewReason.GOLD]


@require_safe
@member_required(Role.REVIEWER)
def queue(request: MemberRequest) -> HttpResponse:
    """What waits for a person, in the order in which it is given out."""
    wanted = Wanted.parse(request.GET.dict())
    rows = wanted.narrow(open_tasks(request.membership.site), request.user)
    context = {
        "wanted": wanted,
        "start": f"{reverse('queue-next')}?{wanted.query()}",
        "queue": overview(request.membership, rows),
        "plans": active_plans(request.membership.site),
        "reasons": [(reason.value, reason.label) for reason in SHOWN_REASONS],
        "due_choices": DUE_CHOICES,
        "may_manage": request.membership.allows(Role.MANAGER),
    }
    return render(request, "queue/page.html", context)


@require_safe
@member_required(Role.REVIEWER)
def next_review(request: MemberRequest) -> HttpResponse:
    """Take the next review and go to its unit; ``skip``: a unit that is not wanted now."""
    wanted = Wanted.parse(request.GET.dict())
    skip = parse_id(request.GET.get("skip"))
    if skip is not None:
        _pass(request, skip)
    task = queue_claims.take_next(request.membership, wanted) or _begun(request, skip)
    if task is None:
        messages.success(request, "Nothing more waits for a review here. Well done.")
        return HttpResponseRedirect(f"{reverse('queue')}?{wanted.query()}")
    return HttpResponseRedirect(_address(task, wanted))


def _pass(request: MemberRequest, unit: UUID) -> None:
    rows = ReviewTask.objects.for_site(request.membership.site).filter(inspection=unit)
    for task in rows.filter(held_by=request.user, status=TaskStatus.OPEN):
        queue_claims.release(request.membership, task, passed=True)


def _begun(request: MemberRequest, skip: UUID | None) -> ReviewTask | None:
    """What this person has from the queue already, perhaps on a page that is closed."""
    rows = ReviewTask.objects.for_site(request.membership.site).filter(held_by=request.user)
    mine = rows.filter(status=TaskStatus.OPEN).exclude(inspection=skip)
    found: ReviewTask | None = mine.order_by("-rank").first()
    return queue_claims.take(request.membership, found) if found else None


def _address(task: ReviewTask, wanted: Wanted) -> str:
    return f"{reverse('inspection', args=[task.inspection_id])}?{wanted.query()}"


@require_POST
@member_required(Role.REVIEWER)
def fetch_next(request: MemberRequest) -> HttpResponse:
    """Take one more for a page that shows one already, so that it is there at once."""
    wanted = Wanted.parse(request.POST.dict())
    task = queue_claims.take_next(request.membership, wanted, _ids(request, "have"))
    if task is None:
        return JsonResponse({"task": None})
    unit = str(task.inspection_id)
    return JsonResponse({"task": str(task.pk), "unit": unit, "address": _address(task, wanted)})


@require_POST
@member_required(Role.REVIEWER)
def put_aside(request: MemberRequest) -> HttpResponse:
    """Give a review back, and don't get it again for a while."""
    for task in ReviewTask.objects.for_site(request.membership.site).filter(
        pk__in=_ids(request, "task")
    ):
        queue_claims.release(request.membership, task, passed=True)
    return HttpResponse(status=204)


@require_POST
@member_required(Role.REVIEWER)
def renew(request: MemberRequest) -> HttpResponse:
    """A page that is still open keeps what it has; tells which of it is still its."""
    kept = queue_claims.renew(request.membership, _ids(request, "task"))
    return JsonResponse({"tasks": [str(pk) for pk in kept]})


def _ids(request: MemberRequest, name: str) -> list[UUID]:
    sent = [parse_id(text) for text in request.POST.getlist(name)[:MOST_KEPT]]
    return [pk for pk in sent if pk is not None]


def _act(
    request: MemberRequest, pk: UUID, act: Callable[[ReviewTask], str]
) -> HttpResponseRedirect:
    """Do it and go back to the page of the queue, with what was done or why it was not."""
    rows = ReviewTask.objects.for_site(request.membership.site)
    task = get_object_or_404(rows, pk=pk)
    try:
        messages.success(request, act(task))
    except QueueRefusedError as error:
        messages.error(request, str(error))
    wanted = Wanted.parse(request.POST.dict())
    return HttpResponseRedirect(f"{reverse('queue')}?{wanted.query()}")


@require_POST
@member_required(Role.REVIEWER)
def take(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Review this one, whatever its turn."""
    task = get_object_or_404(ReviewTask.objects.for_site(request.membership.site), pk=pk)
    try:
        taken = queue_claims.take(request.membership, task)
    except QueueRefusedError as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(reverse("queue"))
    return HttpResponseRedirect(_address(taken, Wanted.parse(request.POST.dict())))


@require_POST
@member_required(Role.REVIEWER)
def release(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Give it back to everybody."""

    def act(task: ReviewTask) -> str:
        if not queue_claims.release(request.membership, task):
            raise QueueRefusedError("It isn't with you any more.")
        return "Given back. Anybody can review it now."

    return _act(request, pk, act)


@require_POST
@member_required(Role.REVIEWER)
def hand_over(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Let a certain person do it, or anybody again."""
    chosen = request.POST.get("to", "")
    to: User | None = None
    if chosen:
        people = reviewers_of(request.membership.site)
        to = get_object_or_404(people, pk=chosen) if chosen.isdigit() else None

    def act(task: ReviewTask) -> str:
        if chosen and to is None:
            raise QueueRefusedError("Choose somebody of this site who reviews.")
        queue_claims.hand_over(request.membership, task, to, request.POST.get("note", ""))
        return f"Handed to {to}." if to else "Anybody can review it now."

    return _act(request, pk, act)


@require_POST
@member_required(Role.MANAGER)
def set_due(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Say until when it is to be done."""

    def act(task: ReviewTask) -> str:
        queue_claims.set_due(request.membership, task, _due(request.POST.get("hours", "")))
        return "The due time is set."

    return _act(request, pk, act)


def _due(hours: str) -> datetime:
    if hours not in {str(choice) for choice, _ in DUE_CHOICES}:
        raise QueueRefusedError("Choose one of the due times.")
    return timezone.now() + timedelta(hours=int(hours))


@require_POST
@member_required()
def keys(request: MemberRequest) -> HttpResponse:
    """Keep the keys that a person chose."""
    try:
        bindings = _bindings(json.loads(request.POST.get("bindings", "")))
    except (ValueError, RecursionError):
        return HttpResponse(status=400, headers={"X-Message": "These keys can't be read."})
    KeyMap.objects.update_or_create(user=request.user, defaults={"bindings": bindings})
    return HttpResponse(status=204)


def _bindings(sent: Any) -> dict[str, list[str]]:
    """``{act: [key, …]}`` with short texts; ValueError for anything else."""
    if not isinstance(sent, dict) or len(sent) > MOST_KEYS:
        raise ValueError("not a table of keys")
    for act, chosen in sent.items():
        texts = [act, *chosen] if isinstance(chosen, list) and len(chosen) <= 4 else [None]
        if not all(isinstance(text, str) and 0 < len(text) <= 40 for text in texts):
            raise ValueError("not a table of keys")
    return sent


def key_bindings(user: User) -> dict[str, list[str]]:
    """The keys that this person chose."""
    found = KeyMap.objects.filter(pk=user.pk).first()
    return found.bindings if found else {}


def unit_context(request: MemberRequest, inspection: Inspection) -> dict[str, Any]:
    """What the page of a unit says of the queue: who has it, and which part is worked on."""
    wanted = Wanted.parse(request.GET.dict())
    may_review = request.membership.allows(Role.REVIEWER)
    return {
        "task": task_on(inspection, request.membership) if may_review else {},
        "wanted_query": wanted.query(),
        "is_reviewing": may_review and bool(request.GET.get("queue")),
        "key_bindings": key_bindings(request.user),
    }


urlpatterns = [
    path("queue/", queue, name="queue"),
    path("queue/next/", next_review, name="queue-next"),
    path("queue/fetch/", fetch_next, name="queue-fetch"),
    path("queue/pass/", put_aside, name="queue-pass"),
    path("queue/renew/", renew, name="queue-renew"),
    path("queue/<uuid:pk>/take/", take, name="queue-take"),
    path("queue/<uuid:pk>/release/", release, name="queue-release"),
    path("queue/<uuid:pk>/hand-over/", hand_over, name="queue-hand-over"),
    path("queue/<uuid:pk>/due/", set_due, name="queue-due"),
    path("keys/", keys, name="keys"),
]
