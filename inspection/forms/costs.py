"""What a defect of each type costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms

from inspection.models import Plan


class CostsForm(forms.Form):
    """One field for each type of each plan; empty means no cost."""

    def __init__(
        self,
        *args: Any,
        plans: Iterable[Plan],
        known: Mapping[tuple[UUID, str], float],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.places: dict[str, tuple[Plan, str]] = {}
        for plan in plans:
            for defect in plan.current.parsed().defects if plan.current else ():
                name = f"{plan.key}:{defect.key}"
                self.places[name] = (plan, defect.key)
                self.fields[name] = forms.DecimalField(
                    label=defect.name,
                    required=False,
                    min_value=Decimal(0),
                    max_digits=12,
                    decimal_places=2,
                    initial=known.get((plan.pk, defect.key)),
                    widget=forms.NumberInput(attrs={"step": "0.01", "inputmode": "decimal"}),
                )

    def by_plan(self) -> Iterator[tuple[Plan, list[forms.BoundField]]]:
        """Plans with their fields, for the page."""
        groups: dict[str, tuple[Plan, list[forms.BoundField]]] = {}
        for name, (plan, _) in self.places.items():
            groups.setdefault(plan.key, (plan, []))[1].append(self[name])
        yield from groups.values()

    def costs(self) -> dict[tuple[Plan, str], Decimal | None]:
        """What was filled in, by plan and type; None where a cost is to go."""
        return {place: self.cleaned_data.get(name) for name, place in self.places.items()}
