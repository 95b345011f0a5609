"""The inspection plan as a typed value: what is looked at, what counts as a defect, what follows.

The same schema is the plan editor's validation, the prompt of every VLM and the file given to
``python -m models_runtime inspect --plan``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Words = Annotated[str, Field(min_length=1, max_length=200)]


class Severity(StrEnum):
    """Defect classes as in ISO 2859 sampling practice: minor, major, critical."""

    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


SEVERITY_ORDER: tuple[Severity, ...] = (Severity.MINOR, Severity.MAJOR, Severity.CRITICAL)


class CharacteristicKind(StrEnum):
    """How a characteristic is answered."""

    CHOICE = "choice"
    BOOLEAN = "boolean"
    SCALE = "scale"
    NUMBER = "number"
    TEXT = "text"


class PlanPart(BaseModel):
    """Base of the plan's parts: immutable, and unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Option(PlanPart):
    """One answer to a choice, with other words for it that the model may lean on."""

    value: Words
    description: str = Field(default="", max_length=500)


class Characteristic(PlanPart):
    """One thing the plan asks of every unit. A scale runs from 1 (worst) to 10 (as new)."""

    key: Key
    title: str = Field(default="", max_length=200)
    kind: CharacteristicKind = CharacteristicKind.CHOICE
    question: str = Field(default="", max_length=500)
    options: tuple[Option, ...] = Field(default=(), max_length=100)
    unit: str = Field(default="", max_length=20)
    minimum: float | None = None
    maximum: float | None = None
    required: bool = True

    @model_validator(mode="before")
    @classmethod
    def _plain_words(cls, data: object) -> object:
        """Let options be plain strings."""
        if not isinstance(data, dict):
            return data
        options = data.get("options") or ()
        if not isinstance(options, list | tuple):
            return data
        plain = [{"value": o} if isinstance(o, str) else o for o in options]
        return {**data, "options": plain}

    @model_validator(mode="after")
    def _options_fit(self) -> Characteristic:
        values = [option.value for option in self.options]
        if self.kind is CharacteristicKind.CHOICE and len(values) < 2:
            raise ValueError(
                f"characteristic {self.key!r} is a choice: give it at least two options, "
                "or another kind (boolean, scale, number, text)"
            )
        if len(set(values)) != len(values):
            raise ValueError(f"characteristic {self.key!r} has the same option twice")
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            raise ValueError(f"characteristic {self.key!r}: minimum must be below maximum")
        return self


class DefectType(PlanPart):
    """An entry of the defect catalogue. ``definition`` is read by people and by the model alike."""

    key: Key
    name: Words
    definition: str = Field(default="", max_length=1000)
    synonyms: tuple[Words, ...] = Field(default=(), max_length=20)
    severity: Severity = Severity.MAJOR
    max_area_mm2: float | None = Field(default=None, gt=0)
    """Findings up to this area are tolerated (needs the plan's ``mm_per_px``)."""


class Policy(PlanPart):
    """From severities to a disposition, and when a person must look."""

    minor: Literal["accept", "rework", "reject", "hold"] = "accept"
    major: Literal["accept", "rework", "reject", "hold"] = "rework"
    critical: Literal["accept", "rework", "reject", "hold"] = "reject"
    review_below: float = Field(default=0.8, ge=0.0, le=1.0)
    """Send to a person when the calibrated confidence of the disposition is below this."""
    review_severity: Severity | None = None
    """Always send findings of this severity or worse to a person."""
    report: Literal["always", "findings", "never"] = "findings"


class PlaybookRule(PlanPart):
    """If the unit looks like this, do that. Empty conditions match everything."""

    action: Literal["ticket"] = "ticket"
    destination: Key
    dispositions: tuple[Literal["accept", "rework", "reject", "hold"], ...] = ("rework", "reject")
    minimum_severity: Severity = Severity.MAJOR
    defects: tuple[Key, ...] = ()
    requires_approval: bool = False


class PlanSpec(PlanPart):
    """An inspection plan. Only ``name`` is a must; the rest has working defaults."""

    format: Literal["loupe.plan/1"] = "loupe.plan/1"
    name: Words
    subject: Literal["product", "property", "part"] = "product"
    description: str = Field(default="", max_length=2000)
    characteristics: tuple[Characteristic, ...] = Field(default=(), max_length=50)
    defects: tuple[DefectType, ...] = Field(default=(), max_length=50)
    mm_per_px: float | None = Field(default=None, gt=0)
    policy: Policy = Policy()
    playbook: tuple[PlaybookRule, ...] = Field(default=(), max_length=20)

    @model_validator(mode="after")
    def _keys_are_unique(self) -> PlanSpec:
        for what, keys in (
            ("characteristic", [c.key for c in self.characteristics]),
            ("defect", [d.key for d in self.defects]),
        ):
            double = {key for key in keys if keys.count(key) > 1}
            if double:
                raise ValueError(f"{what} key used twice: {', '.join(sorted(double))}")
        known = {d.key for d in self.defects}
        unknown = {key for rule in self.playbook for key in rule.defects} - known
        if unknown:
            raise ValueError(
                f"playbook names defects not in the catalogue: {', '.join(sorted(unknown))}"
            )
        return self

    def defect(self, key: str) -> DefectType | None:
        """Return the catalogue entry with this key, or None."""
        return next((d for d in self.defects if d.key == key), None)
