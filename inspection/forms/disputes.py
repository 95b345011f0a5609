"""What a reviewer states when they make a link, and when they answer."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings

from inspection.models import Inspection
from inspection.models.choices import DispositionChoice, SeverityChoice
from inspection.models.dispute import LONGEST_ANSWER, DisputeOutcome
from inspection.selectors.disputes import class_name
from inspection.selectors.findings import current_findings, is_standing
from inspection.services.disputes.links import MOST_DAYS
from inspection.services.reports.mailing import is_configured

OUTCOMES = (
    (DisputeOutcome.UPHELD, "Uphold: it stays as it is"),
    (DisputeOutcome.WITHDRAWN, "Withdraw the finding"),
    (DisputeOutcome.CHANGED, "Change the class, the severity or the decision"),
)


def standing(inspection: Inspection) -> list[tuple[str, str]]:
    """Findings that can be chosen, with their number as on the page of the unit."""
    rows = enumerate(current_findings(inspection), start=1)
    return [
        (str(finding.pk), f"{number}. {class_name(inspection, finding.type)}")
        for number, finding in rows
        if is_standing(finding)
    ]


class LinkForm(forms.Form):
    prefix = "link"

    finding = forms.ChoiceField(label="It shows", required=False)
    days = forms.IntegerField(label="Open for, in days", min_value=1, max_value=MOST_DAYS)
    label = forms.CharField(
        label="For whom",
        required=False,
        max_length=100,
        help_text="For your own list; the party doesn't see it.",
    )
    email = forms.EmailField(
        label="Send it to",
        required=False,
        max_length=254,
        help_text="Empty: you pass the link on yourself.",
    )
    shows_earlier = forms.BooleanField(
        label="Show the earlier photo beside it", required=False, initial=True
    )

    def __init__(self, inspection: Inspection, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", "The whole unit"), *standing(inspection)]
        self.fields["finding"].choices = choices  # type: ignore[attr-defined]
        self.fields["days"].initial = settings.DISPUTE_LINK_DAYS
        if not is_configured():
            del self.fields["email"]


class AnswerForm(forms.Form):
    outcome = forms.ChoiceField(choices=OUTCOMES, widget=forms.RadioSelect, label="Your answer")
    findings = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label="Which finding"
    )
    type = forms.ChoiceField(required=False, label="Class")
    severity = forms.ChoiceField(
        required=False, choices=[("", "As it is"), *SeverityChoice.choices], label="Severity"
    )
    disposition = forms.ChoiceField(
        required=False,
        choices=[("", "As it is"), *DispositionChoice.choices],
        label="Decision on the unit",
    )
    body = forms.CharField(
        max_length=LONGEST_ANSWER,
        widget=forms.Textarea(attrs={"rows": 4}),
        label="In words for the party",
        help_text="They read it at their link.",
    )
    seen = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, inspection: Inspection, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        version = inspection.plan_version
        defects = version.parsed().defects if version else ()
        classes = [("", "As it is"), *((defect.key, defect.name) for defect in defects)]
        self.fields["type"].choices = classes  # type: ignore[attr-defined]
        self.fields["findings"].choices = standing(inspection)  # type: ignore[attr-defined]
