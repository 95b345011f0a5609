"""What a manager chooses on the comparison page."""

from __future__ import annotations

from typing import Any

from django import forms

from inspection.models.learning import Change, Part

DATE = forms.DateInput(attrs={"type": "date"})


class CompareForm(forms.Form):
    """Filters, all from the address; one that can't be read is as if it were not there."""

    change = forms.ChoiceField(choices=[("", "All"), *Change.choices], required=False)
    part = forms.ChoiceField(
        choices=[("", "All units"), *Part.choices], required=False, label="Units"
    )
    since = forms.DateField(required=False, widget=DATE, label="Judged from")
    until = forms.DateField(required=False, widget=DATE, label="to")

    def chosen(self) -> dict[str, Any]:
        """What was chosen and can be read."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


class DecisionForm(forms.Form):
    """A manager's word on a version."""

    act = forms.ChoiceField(
        choices=[
            (word, word) for word in ("accept", "decline", "roll-back", "shadow", "end-shadow")
        ]
    )
