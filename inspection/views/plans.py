"""Plans: list, editor, versions, golden photos, and plans as files."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from pydantic import ValidationError

from inspection.access import MemberRequest, member_required
from inspection.forms.plan import PlanForm
from inspection.models import Connector, GoldenPhoto, Plan, PlanVersion
from inspection.models.choices import DispositionChoice, Role, SeverityChoice
from inspection.selectors import plans as reads
from inspection.services import golden, plans
from inspection.views.photos import served_image
from models_runtime.errors import InputError
from models_runtime.plans import PlanSpec

LARGEST_PLAN_FILE = 500_000
KINDS = (
    ("choice", "One of several"),
    ("boolean", "Yes or no"),
    ("scale", "Scale 1 to 10"),
    ("number", "Number"),
    ("text", "Text"),
)
SUBJECTS = (("product", "Products"), ("property", "Properties"), ("part", "Parts"))
REPORTS = (
    ("findings", "When something is found"),
    ("always", "Always"),
    ("never", "Only on demand"),
)

EMPTY_ROWS: dict[str, dict[str, object]] = {
    "characteristics": {"key": "", "title": "", "kind": "choice", "required": "on"},
    "defects": {"key": "", "name": "", "severity": "major"},
    "playbook": {"dispositions": ["rework", "reject"], "minimum_severity": "major"},
}


def _find(request: MemberRequest, key: str) -> Plan:
    rows = Plan.objects.for_site(request.membership.site).select_related("current")
    plan: Plan = get_object_or_404(rows, key=key)
    return plan


@require_safe
@member_required()
def plan_list(request: MemberRequest) -> HttpResponse:
    """All plans of the site."""
    rows = reads.plans_with_use(request.membership.site)
    return render(request, "plans/list.html", {"plans": [(row, _spec_of(row)) for row in rows]})


def _spec_of(plan: Plan) -> PlanSpec | None:
    return plan.current.parsed() if plan.current else None


@require_http_methods(["GET", "HEAD", "POST"])
@member_required(Role.MANAGER)
def plan_new(request: MemberRequest) -> HttpResponse:
    """An empty editor; saving makes the plan."""
    if request.method != "POST":
        return _editor(request, PlanForm.of(PlanSpec(name="New plan")), is_new=True)
    form = PlanForm.sent(request.POST)
    if form.spec is None:
        return _editor(request, form, is_new=True, status=422)
    try:
        plan = plans.create_plan(request.membership, form.spec)
    except plans.PlanRefusedError as error:
        form.errors["name"] = str(error)
        return _editor(request, form, is_new=True, status=422)
    messages.success(request, f"“{plan.name}” is ready for photos.")
    return HttpResponseRedirect(reverse("plan", args=[plan.key]))


@require_http_methods(["GET", "HEAD", "POST"])
@member_required()
def plan(request: MemberRequest, key: str) -> HttpResponseBase:
    """The plan; managers edit it, and saving makes a new version."""
    found = _find(request, key)
    if request.method == "POST":
        return _save(request, found)
    spec = _spec_of(found) or PlanSpec(name=found.name)
    return _editor(request, PlanForm.of(spec), found)


@member_required(Role.MANAGER)
def _save(request: MemberRequest, found: Plan) -> HttpResponse:
    form = PlanForm.sent(request.POST)
    if form.spec is None:
        return _editor(request, form, found, status=422)
    based_on = request.POST.get("based_on", "")
    try:
        version = plans.save_plan(
            request.membership, found, form.spec, int(based_on) if based_on.isdecimal() else None
        )
    except plans.PlanRefusedError as error:
        form.errors["form"] = str(error)
        return _editor(request, form, found, status=409)
    messages.success(request, f"Version {version.number} is in force for new photos.")
    return HttpResponseRedirect(reverse("plan", args=[found.key]))


def _editor(
    request: MemberRequest,
    form: PlanForm,
    found: Plan | None = None,
    *,
    is_new: bool = False,
    status: int = 200,
) -> HttpResponse:
    context: dict[str, Any] = {
        "form": form,
        "plan": found,
        "is_new": is_new,
        "kinds": KINDS,
        "subjects": SUBJECTS,
        "reports": REPORTS,
        "dispositions": DispositionChoice.choices,
        "severities": SeverityChoice.choices,
        "connectors": Connector.objects.for_site(request.membership.site),
        "empty": EMPTY_ROWS,
        "next_number": (found.current.number if found and found.current else 0) + 1,
        "may_edit": request.membership.allows(Role.MANAGER),
        "versions": reads.versions_of(found) if found else [],
        "golden": reads.golden_photos_of(found) if found else [],
    }
    return render(request, "plans/editor.html", context, status=status)


@require_safe
@member_required()
def plan_file(request: MemberRequest, key: str) -> HttpResponse:
    """The plan as a file, which the command line and other sites take."""
    found = _find(request, key)
    spec = _spec_of(found)
    if spec is None:
        raise Http404("This plan has no version yet.")
    response = HttpResponse(spec.model_dump_json(indent=2), content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="{found.key}.json"'
    return response


@require_safe
@member_required()
def plan_version(request: MemberRequest, key: str, number: int) -> HttpResponse:
    """What an earlier version said."""
    found = _find(request, key)
    version = get_object_or_404(PlanVersion, plan=found, number=number)
    spec = version.parsed()
    text = spec.model_dump_json(indent=2)
    context = {"plan": found, "version": version, "spec": spec, "text": text}
    return render(request, "plans/version.html", context)


@require_POST
@member_required(Role.MANAGER)
def plan_import(request: MemberRequest) -> HttpResponse:
    """Make a plan from a file."""
    file = request.FILES.get("file")
    try:
        spec = _read_plan(file)
        made = plans.create_plan(request.membership, spec)
    except (plans.PlanRefusedError, InputError) as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(reverse("plans"))
    messages.success(request, f"“{made.name}” was imported.")
    return HttpResponseRedirect(reverse("plan", args=[made.key]))


def _read_plan(file: UploadedFile[Any] | None) -> PlanSpec:
    if file is None:
        raise InputError("Choose a plan file first (plan.json).")
    if (file.size or 0) > LARGEST_PLAN_FILE:
        raise InputError("This is too large for a plan. Choose a plan.json exported from Loupe.")
    try:
        return PlanSpec.model_validate_json(file.read())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"This is no valid plan: {where}: {first['msg']}.") from None


@require_POST
@member_required(Role.MANAGER)
def plan_switch(request: MemberRequest, key: str) -> HttpResponse:
    """Offer the plan for new photos, or put it away."""
    found = _find(request, key)
    plans.set_active(found, not found.is_active)
    return HttpResponseRedirect(reverse("plan", args=[found.key]))


@require_POST
@member_required(Role.MANAGER)
def golden_add(request: MemberRequest, key: str) -> HttpResponse:
    """Keep photos of sound units."""
    found = _find(request, key)
    files = request.FILES.getlist("photos")
    if not files:
        messages.error(request, "Choose one or more photos of sound units first.")
    for file in files:
        try:
            data = file.read(settings.MAX_PHOTO_BYTES + 1)
            golden.add_golden(request.membership, found, file.name or "photo", data)
        except InputError as error:
            messages.error(request, f"{file.name}: {error}")
    return HttpResponseRedirect(reverse("plan", args=[found.key]) + "#golden")


def _golden(request: MemberRequest, key: str, pk: object) -> GoldenPhoto:
    rows = GoldenPhoto.objects.for_site(request.membership.site)
    photo: GoldenPhoto = get_object_or_404(rows, plan__key=key, pk=pk)
    return photo


@require_safe
@member_required()
def golden_file(request: MemberRequest, key: str, pk: object) -> HttpResponseBase:
    """A golden photo."""
    return served_image(request, _golden(request, key, pk).image_key)


@require_POST
@member_required(Role.MANAGER)
def golden_remove(request: MemberRequest, key: str, pk: object) -> HttpResponse:
    """Take a golden photo out."""
    golden.remove_golden(_golden(request, key, pk))
    return HttpResponseRedirect(reverse("plan", args=[key]) + "#golden")


urlpatterns = [
    path("plans/", plan_list, name="plans"),
    path("plans/new/", plan_new, name="plan-new"),
    path("plans/import/", plan_import, name="plan-import"),
    path("plans/<slug:key>/", plan, name="plan"),
    path("plans/<slug:key>/plan.json", plan_file, name="plan-file"),
    path("plans/<slug:key>/switch/", plan_switch, name="plan-switch"),
    path("plans/<slug:key>/versions/<int:number>/", plan_version, name="plan-version"),
    path("plans/<slug:key>/golden/", golden_add, name="golden-add"),
    path("plans/<slug:key>/golden/<uuid:pk>/", golden_file, name="golden-file"),
    path("plans/<slug:key>/golden/<uuid:pk>/remove/", golden_remove, name="golden-remove"),
]
