"""The plan editor: nothing is lost on the way, and an error stands beside its field."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from inspection.forms.plan import PlanForm
from models_runtime.plans import Characteristic, DefectType, Option, PlanSpec, PlaybookRule, Policy

FULL = PlanSpec(
    name="Steel lids",
    subject="part",
    description="Lids\nof steel",
    mm_per_px=0.25,
    characteristics=(
        Characteristic(
            key="colour",
            title="Colour",
            options=(Option(value="bare"), Option(value="painted", description="any paint: gloss")),
        ),
        Characteristic(key="width", kind="number", unit="mm", minimum=1, maximum=9, required=False),
    ),
    defects=(
        DefectType(key="dent", name="Dent", synonyms=("bump", "ding"), max_area_mm2=2.5),
        DefectType(key="hole", name="Hole", severity="critical"),
    ),
    policy=Policy(minor="hold", review_below=0.6, review_severity="major", report="always"),
    playbook=(
        PlaybookRule(destination="tickets", defects=("dent", "hole"), requires_approval=True),
    ),
)


def as_sent(form: PlanForm) -> QueryDict:
    """What a browser sends for a form: texts, and only the boxes that are ticked."""
    data = QueryDict(mutable=True)
    for name, value in form.values.items():
        data[name] = "" if value is None else str(value)
    for part, rows in form.rows.items():
        for row in rows:
            for name, value in row.items():
                put(data, f"{part}-{row['index']}-{name}", value)
    return data


def put(data: QueryDict, name: str, value: Any) -> None:
    if isinstance(value, list):
        data.setlist(name, value)
    elif value is True:
        data[name] = "on"
    elif value is not False and not name.endswith("-index"):
        data[name] = "" if value is None else str(value)


def test_a_plan_opened_and_saved_is_the_same_plan() -> None:
    assert PlanForm.sent(as_sent(PlanForm.of(FULL))).spec == FULL


names = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=30
)


@given(st.lists(names, min_size=1, max_size=6), st.floats(0, 1))
def test_any_catalogue_survives_the_editor(words: list[str], below: float) -> None:
    spec = PlanSpec(
        name=words[0],
        defects=tuple(DefectType(key=f"d{i}", name=word) for i, word in enumerate(words)),
        policy=Policy(review_below=below),
    )
    assert PlanForm.sent(as_sent(PlanForm.of(spec))).spec == spec


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"name": ""}, "name", "needed"),
        ({"mm_per_px": "-1"}, "mm_per_px", "more than 0"),
        ({"policy-review_below": "80"}, "policy-review_below", "less than or equal to 1"),
        ({"defects-1-key": "Hole!"}, "defects-1-key", "small letters"),
        ({"defects-0-max_area_mm2": "large"}, "defects-0-max_area_mm2", "number"),
        ({"characteristics-0-options": "bare"}, "characteristics-0-row", "at least two options"),
        ({"characteristics-1-minimum": "20"}, "characteristics-1-row", "below maximum"),
        ({"playbook-0-destination": ""}, "playbook-0-destination", "small letters"),
        ({"playbook-0-defects": "rust"}, "form", "not in the catalogue"),
        ({"defects-1-key": "dent"}, "form", "used twice"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    change: dict[str, str], field: str, words: str
) -> None:
    data = as_sent(PlanForm.of(FULL))
    data.update({})
    for name, value in change.items():
        data[name] = value
    form = PlanForm.sent(data)
    assert form.spec is None
    assert words in form.errors[field]


def test_rows_may_be_taken_out_anywhere_and_keep_their_errors() -> None:
    data = as_sent(PlanForm.of(FULL))
    for name in [name for name in data if name.startswith("defects-0-")]:
        del data[name]
    data["playbook-0-defects"] = "hole"
    data["defects-1-name"] = ""
    assert set(PlanForm.sent(data).errors) == {"defects-1-name"}


def test_keys_are_made_from_titles_and_told_apart() -> None:
    data = QueryDict(mutable=True)
    data.update({"name": "P", "policy-minor": "accept", "policy-major": "rework"})
    data.update({"policy-critical": "reject", "policy-review_below": "0,8", "subject": "part"})
    data.update({"policy-report": "never"})
    data.update({"defects-0-name": "Deep Scratch", "defects-7-name": "Deep scratch"})
    spec = PlanForm.sent(data).spec
    assert spec is not None
    assert [defect.key for defect in spec.defects] == ["deep-scratch", "deep-scratch-2"]
    assert spec.policy.review_below == 0.8
