"""What people choose for reports: a lot, a layout, who gets it by e-mail."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from inspection.models import Plan, ReportLayout, Site
from inspection.models.choices import DispositionChoice, InspectionStatus
from inspection.models.report_document import Paper
from inspection.selectors.reports.parts import PARTS
from inspection.selectors.reports.saved import layouts_of

MOST_ADDRESSES = 20
DATE = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class LotForm(forms.Form):
    """Which units make up a lot; the same names as in the address of the list of inspections."""

    title = forms.CharField(
        max_length=200, required=False, label="Title",
        help_text="Empty: as the layout says.",
    )  # fmt: skip
    q = forms.CharField(
        max_length=200, required=False, label="Reference begins with",
        help_text="Or words of notes and findings.",
    )  # fmt: skip
    plan = forms.ChoiceField(required=False, label="Plan")
    since = forms.DateField(required=False, widget=DATE, label="Received from")
    until = forms.DateField(required=False, widget=DATE, label="Received until")
    product = forms.CharField(max_length=64, required=False)
    supplier = forms.CharField(max_length=64, required=False)
    line = forms.CharField(max_length=64, required=False)
    shift = forms.CharField(max_length=64, required=False)
    status = forms.ChoiceField(
        choices=[("", "Any"), *InspectionStatus.choices], required=False, label="Status"
    )
    disposition = forms.ChoiceField(
        choices=[("", "Any"), *DispositionChoice.choices], required=False, label="Disposition"
    )
    layout = forms.ChoiceField(required=False, label="Layout")

    def __init__(self, site: Site, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plans = Plan.objects.for_site(site).values_list("key", "name")
        self.fields["plan"].choices = [("", "Any"), *plans]  # type: ignore[attr-defined]
        self.fields["layout"].choices = layout_choices(site)  # type: ignore[attr-defined]


def layout_choices(site: Site) -> list[tuple[str, str]]:
    """The saved layouts, or the standard one where there are none."""
    rows = list(layouts_of(site))
    saved = [(str(row.pk), f"{row.name}{' (default)' if row.is_default else ''}") for row in rows]
    return saved if rows and rows[0].is_default else [("", "Standard"), *saved]


class LayoutForm(forms.Form):
    """A layout. ``parts`` come in the order in which they stand on the page."""

    name = forms.CharField(max_length=80, label="Name of the layout")
    title = forms.CharField(
        max_length=200, required=False, label="Title",
        help_text="Empty: “Inspection report” with the unit's name, or “Lot report”.",
    )  # fmt: skip
    footer = forms.CharField(
        max_length=300, required=False, label="Footer",
        help_text="On each page, e.g. address or “confidential”.",
    )  # fmt: skip
    paper = forms.ChoiceField(choices=Paper.choices, initial=Paper.A4)
    parts = forms.MultipleChoiceField(
        choices=[(key, part.label) for key, part in PARTS.items()],
        error_messages={"required": "Choose at least one part: a report of none says nothing."},
    )
    shows_logo = forms.BooleanField(required=False, initial=True, label="Show the logo")
    is_default = forms.BooleanField(
        required=False, label="Use it where nobody chooses another layout"
    )

    def values(self) -> dict[str, Any]:
        """Without what is no column of its own."""
        return {name: value for name, value in self.cleaned_data.items() if name != "is_default"}


def initial_of(layout: ReportLayout) -> dict[str, Any]:
    """A saved layout as the form's first values."""
    return {name: getattr(layout, name) for name in LayoutForm.base_fields}


class SendForm(forms.Form):
    """Who gets a report by e-mail."""

    to = forms.CharField(
        max_length=2000, label="To",
        help_text="One address, or several with commas between them.",
        widget=forms.TextInput(attrs={"autocomplete": "email", "inputmode": "email"}),
    )  # fmt: skip
    subject = forms.CharField(max_length=200, required=False)
    body = forms.CharField(
        max_length=4000, required=False, label="Message", widget=forms.Textarea(attrs={"rows": 3})
    )
    client_key = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def clean_to(self) -> list[str]:
        addresses = [word for word in re.split(r"[,;\s]+", self.cleaned_data["to"]) if word]
        if len(addresses) > MOST_ADDRESSES:
            raise ValidationError(f"At most {MOST_ADDRESSES} addresses at once.")
        for address in addresses:
            try:
                validate_email(address)
            except ValidationError:
                raise ValidationError(f"“{address}” is no e-mail address. Correct it.") from None
        return list(dict.fromkeys(addresses))
