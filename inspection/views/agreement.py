"""How far reviewers agree, and gold units with the grades that they give."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from inspection.access import MemberRequest, member_required
from inspection.forms.judging import JudgingRuleForm
from inspection.models import GoldUnit, Inspection, JudgingRule, Plan
from inspection.models.choices import RejectReason, Role
from inspection.selectors import agreement as reads
from inspection.selectors import catalogue
from inspection.selectors.plans import active_plans
from inspection.services import gold, judging
from models_runtime.agreement import Kappa
from models_runtime.binomial import clopper_pearson

CSV_COLUMNS = (
    "by", "name", "units", "disposition_kappa", "disposition_low", "disposition_high",
    "disposition_observed", "class_labels", "class_kappa", "class_low", "class_high", "masks",
    "mask_iou",
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What the page shows, as its address says it."""

    weeks: int
    plan: str

    @classmethod
    def of(cls, request: HttpRequest) -> Wanted:
        weeks = request.GET.get("weeks", "")
        known = int(weeks) if weeks.isdecimal() and int(weeks) in reads.WEEKS else 12
        return cls(known, request.GET.get("plan", "").replace("\0", "")[:64])


@require_safe
@member_required(Role.MANAGER)
def agreement(request: MemberRequest) -> HttpResponse:
    """Kappa with its interval, overall and by pair, plan and week."""
    wanted, site = Wanted.of(request), request.membership.site
    pairs = reads.pairs_of(site, wanted.weeks, wanted.plan)
    context = {
        "wanted": wanted,
        "weeks": reads.WEEKS,
        "plans": active_plans(site),
        "whole": reads.Group.of("All", pairs) if pairs else None,
        "tables": [(title, [_shown(one) for one in rows]) for title, rows in _tables(pairs)],
        "rules": JudgingRule.objects.filter(site=site).select_related("plan"),
    }
    return render(request, "judging/agreement.html", context)


def _tables(pairs: list[reads.Pair]) -> list[tuple[str, list[reads.Group]]]:
    return [
        ("Pair", reads.by_pair(pairs)),
        ("Plan", reads.by_plan(pairs)),
        ("Week", reads.by_week(pairs)),
    ]


def _shown(group: reads.Group) -> dict[str, Any]:
    """A row with its interval as a line of 100 × 12."""
    return {"group": group, "line": line_of(group.disposition)}


def line_of(kappa: Kappa | None) -> dict[str, float] | None:
    """Where value and interval lie on an axis from -1 to 1 that is 100 long."""
    if kappa is None or kappa.value is None:
        return None
    low = kappa.value if kappa.low is None else kappa.low
    high = kappa.value if kappa.high is None else kappa.high
    at, left, right = ((one + 1) * 50 for one in (kappa.value, low, high))
    return {"at": round(at, 1), "left": round(left, 1), "width": round(right - left, 1)}


@require_safe
@member_required(Role.MANAGER)
def agreement_csv(request: MemberRequest) -> HttpResponse:
    """The same figures as a file."""
    wanted = Wanted.of(request)
    pairs = reads.pairs_of(request.membership.site, wanted.weeks, wanted.plan)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="agreement.csv"'
    writer = csv.writer(response)
    writer.writerow(CSV_COLUMNS)
    groups = [("all", [reads.Group.of("all", pairs)] if pairs else []), *_tables(pairs)]
    for title, rows in groups:
        for group in rows:
            writer.writerow([title.lower(), _harmless(group.name), *_figures(group)])
    return response


def _harmless(text: str) -> str:
    """A spreadsheet would take some beginnings for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


def _figures(group: reads.Group) -> list[object]:
    one, two = group.disposition, group.classes
    numbers = [
        *((one.value, one.low, one.high, one.observed) if one else (None,) * 4),
        two.cases if two else 0,
        *((two.value, two.low, two.high) if two else (None,) * 3),
    ]
    rounded = [round(n, 4) if isinstance(n, float) else n for n in numbers]
    return [group.units, *rounded, group.masks, None if group.iou is None else round(group.iou, 4)]


@require_safe
@member_required(Role.MANAGER)
def gold_page(request: MemberRequest) -> HttpResponse:
    """Gold units, and how reviewers did on them."""
    site = request.membership.site
    context = {
        "golds": reads.gold_units(site),
        "grades": [_graded(row) for row in reads.grades_by_reviewer(site)],
        "rules": JudgingRule.objects.filter(site=site, gold_share__gt=0).select_related("plan"),
    }
    return render(request, "judging/gold.html", context)


def _graded(row: dict[str, Any]) -> dict[str, Any]:
    """With the share of right dispositions and its 95 % Clopper-Pearson interval."""
    low, high = clopper_pearson(row["right"], row["units"])
    return row | {"share": row["right"] / row["units"], "low": low, "high": high}


@require_POST
@member_required(Role.MANAGER)
def gold_make(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Let a decided unit grade reviewers."""
    source = get_object_or_404(Inspection.objects.for_site(request.membership.site), pk=pk)
    try:
        made = gold.make_gold(
            request.membership,
            source,
            request.POST.get("reference", ""),
            request.POST.get("note", ""),
        )
    except gold.GoldRefusedError as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(reverse("inspection", args=[pk]))
    messages.success(request, f"It is a gold unit now. Reviewers know it as “{made.inspection}”.")
    return HttpResponseRedirect(reverse("gold"))


@require_POST
@member_required(Role.MANAGER)
def gold_retire(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Give it to nobody any more."""
    row = get_object_or_404(GoldUnit.objects.for_site(request.membership.site), pk=pk)
    gold.retire(request.membership, row)
    messages.success(request, "It is given to nobody any more. Its grades stay.")
    return HttpResponseRedirect(reverse("gold"))


@require_safe
@member_required(Role.REVIEWER)
def rejections(request: MemberRequest) -> HttpResponse:
    """What reviewers rejected, by reason: what the models take for a defect."""
    site, sent = request.membership.site, request.GET
    reason = sent.get("reason", "") if sent.get("reason") in RejectReason.values else ""
    plan = sent.get("plan", "").replace("\0", "")[:64]
    number = sent.get("page", "")
    page = min(int(number), 10_000) if number.isdecimal() and int(number) > 0 else 1
    rows = catalogue.rejections(site, reason, plan, page)
    counts = catalogue.rejection_counts(site, plan)
    context = {
        "rows": rows[: catalogue.PAGE],
        "more": len(rows) > catalogue.PAGE,
        "page": page,
        "reason": reason,
        "plan": plan,
        "plans": active_plans(site),
        "total": sum(counts.values()),
        "reasons": [(value, label, counts.get(value, 0)) for value, label in RejectReason.choices],
    }
    return render(request, "judging/rejections.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required(Role.MANAGER)
def judging_rule(request: MemberRequest, key: str) -> HttpResponse:
    """When a second reviewer looks, and how many gold units are mixed in."""
    plan = get_object_or_404(Plan.objects.for_site(request.membership.site), key=key)
    rule = JudgingRule.objects.filter(plan=plan).first()
    form = JudgingRuleForm(request.POST) if request.method == "POST" else JudgingRuleForm.of(rule)
    if request.method == "POST" and form.is_valid():
        judging.set_rule(request.membership, plan, **form.values())
        messages.success(request, "Saved. It holds for decisions from now on.")
        return HttpResponseRedirect(reverse("judging-rule", args=[plan.key]))
    alone = not judging.reviewers_besides(plan.site_id, {request.membership.user_id})
    ready = GoldUnit.objects.filter(plan=plan, is_active=True).count()
    context = {"plan": plan, "form": form, "alone": alone, "ready": ready, "draw": judging.DRAW}
    return render(request, "judging/rule.html", context, status=422 if form.errors else 200)


urlpatterns = [
    path("judging/agreement/", agreement, name="agreement"),
    path("judging/agreement.csv", agreement_csv, name="agreement-csv"),
    path("judging/gold/", gold_page, name="gold"),
    path("judging/gold/<uuid:pk>/retire/", gold_retire, name="gold-retire"),
    path("judging/rejections/", rejections, name="rejections"),
    path("inspections/<uuid:pk>/gold/", gold_make, name="gold-make"),
    path("plans/<slug:key>/judging/", judging_rule, name="judging-rule"),
]
