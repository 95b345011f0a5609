"""The form of the risk dial. People state shares in per cent."""

from __future__ import annotations

from typing import Any

from django import forms

CONFIDENCES = [("0.9", "90 %"), ("0.95", "95 %"), ("0.99", "99 %")]


def _percent(label: str, help_text: str, largest: int) -> forms.FloatField:
    attrs = {"step": "any", "inputmode": "decimal", "autocomplete": "off"}
    return forms.FloatField(
        label=label,
        help_text=help_text,
        min_value=0.01,
        max_value=largest,
        widget=forms.NumberInput(attrs=attrs),
    )


class BasedOnForm(forms.Form):
    """The number of the setting that the page was opened with, 0 where there was none."""

    based_on = forms.IntegerField(widget=forms.HiddenInput)


class RiskDialForm(BasedOnForm):
    largest_escape = _percent(
        "Largest escape rate, in %", "Of 100 units that pass, so many may be defective.", 50
    )
    check_share = _percent(
        "Checked all the same, in %",
        "Of 100 units that pass, so many go to a person, drawn at random.",
        100,
    )
    confidence = forms.ChoiceField(
        choices=CONFIDENCES, help_text="How sure the bound is, given the labels."
    )

    def values(self) -> dict[str, Any]:
        """What was stated, as shares."""
        stated = self.cleaned_data
        return {
            "largest_escape": stated["largest_escape"] / 100,
            "check_share": stated["check_share"] / 100,
            "confidence": float(stated["confidence"]),
            "based_on": stated["based_on"],
        }
