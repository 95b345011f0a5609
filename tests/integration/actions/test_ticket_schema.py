"""The published schema of a ticket is what is sent."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from inspection.actions.act import act_on
from inspection.actions.payload import TicketEvent
from inspection.models import Delivery, Finding, Inspection

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture
def schema():
    return json.loads((DOCS / "ticket.schema.json").read_text())


def test_the_published_schema_is_that_of_the_code(schema):
    made = TicketEvent.model_json_schema(mode="serialization")
    assert {name: schema[name] for name in made} == made, (
        "the payload changed: write the new schema to docs/ticket.schema.json"
    )


def test_a_ticket_for_a_finding_and_one_for_a_unit_fit_the_schema(works, schema):
    act_on(works.judged("hole").pk)
    unit = works.judged(disposition="reject")
    Inspection.objects.filter(pk=unit.pk).update(confidence=None)
    act_on(unit.pk)
    bodies = [json.loads(body) for body in Delivery.objects.values_list("body", flat=True)]
    assert sorted(body["data"]["finding"] is None for body in bodies) == [False, True]
    for body in bodies:
        jsonschema.validate(body, schema)


def test_a_ticket_says_how_long_the_defect_is_and_that_it_is_not_known(works, schema):
    act_on(works.judged("hole").pk)
    unit = works.judged("hole")
    Finding.objects.filter(inspection=unit).update(length_px=None, length_mm=None)
    act_on(unit.pk)
    bodies = [json.loads(body) for body in Delivery.objects.values_list("body", flat=True)]
    found = [body["data"]["finding"] for body in bodies]
    lengths = sorted((f["length_px"] or 0, f["length_mm"] or 0) for f in found)
    assert lengths == [(0, 0), (20.0, 10.0)]
    for body in bodies:
        jsonschema.validate(body, schema)


def test_the_example_in_the_documentation_fits_the_schema(schema):
    text = (DOCS / "webhooks.md").read_text()
    example = text.split("```json\n")[2].split("```")[0]
    jsonschema.validate(json.loads(example), schema)
