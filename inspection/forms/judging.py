"""The form of a plan's second review and gold units. People state shares in per cent."""

from __future__ import annotations

from typing import Any

from django import forms

from inspection.models import JudgingRule
from inspection.models.choices import SeverityChoice


def _percent(label: str, help_text: str) -> forms.FloatField:
    attrs = {"step": "any", "inputmode": "decimal", "autocomplete": "off"}
    return forms.FloatField(
        label=label,
        help_text=help_text,
        min_value=0,
        max_value=100,
        widget=forms.NumberInput(attrs=attrs),
    )


def _count(label: str, help_text: str) -> forms.IntegerField:
    return forms.IntegerField(
        label=label, help_text=help_text, min_value=1, max_value=100_000, required=False
    )


class JudgingRuleForm(forms.Form):
    share = _percent("Of all units, in %", "Drawn at random, the same draw for a unit for ever.")
    severity_from = forms.ChoiceField(
        label="Units as severe as",
        choices=[("", "Not by severity"), *SeverityChoice.choices],
        required=False,
        help_text="For the models or for the first reviewer.",
    )
    new_days = _count(
        "Reviewers newer than, in days", "Counted from when they came to the site. Empty: not so."
    )
    new_units = _count(
        "Reviewers with fewer units than", "Units that they have decided here. Empty: not so."
    )
    gold_share = _percent(
        "Gold units, in %", "Of 100 units that a reviewer is given, so many have a known answer."
    )

    @classmethod
    def of(cls, rule: JudgingRule | None) -> JudgingRuleForm:
        """As it is set."""
        rule = rule or JudgingRule()
        return cls(
            initial={
                "share": _neat(rule.share * 100),
                "severity_from": rule.severity_from,
                "new_days": rule.new_days,
                "new_units": rule.new_units,
                "gold_share": _neat(rule.gold_share * 100),
            }
        )

    def values(self) -> dict[str, Any]:
        """What was stated, as shares."""
        stated = self.cleaned_data
        return {
            "share": stated["share"] / 100,
            "severity_from": stated["severity_from"],
            "new_days": stated["new_days"],
            "new_units": stated["new_units"],
            "gold_share": stated["gold_share"] / 100,
        }


def _neat(number: float) -> float | int:
    return int(number) if number == int(number) else round(number, 6)
