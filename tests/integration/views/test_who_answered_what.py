"""The page says which engine answered what, how much went on to a dearer one, and what it cost."""

from __future__ import annotations

from typing import Any

from inspection.pipeline.step import traced
from inspection.selectors.escalations import timeline
from models_runtime.cascade import EngineRun
from models_runtime.contracts import Architecture
from models_runtime.inspector import StepRecord
from models_runtime.plans import PlanSpec
from tests.screen_world import SECRET, Screens

SMALL = EngineRun(
    architecture=Architecture.VLM, engine="loupe-vlm", version="1", run_ms=80, cost_microusd=2,
    confidence=0.9, asked=("colour", "brand", "defects"), answered=("colour", "defects"),
)  # fmt: skip
LARGE = EngineRun(
    architecture=Architecture.VLM, engine="openai", version="qwen", run_ms=900, cost_microusd=500,
    confidence=0.8, asked=("brand",), answered=("brand",),
)  # fmt: skip
DOWN = LARGE.model_copy(
    update={"confidence": None, "answered": (), "error": "server is <b>down</b>"}
)


def record(*ran: EngineRun) -> StepRecord:
    return StepRecord(
        step="extract", architecture=Architecture.VLM, engine="loupe-vlm", version="1",
        reason="questions about a photo; who said what", run_ms=980, confidence=0.8,
        escalated=len(ran) > 1, cost_microusd=sum(run.cost_microusd for run in ran), ran=ran,
    )  # fmt: skip


def shown(world: Screens, *records: StepRecord) -> str:
    """The page of the unit after an extraction with these records, one per photo."""
    trace = traced(list(records), {"photos": {}})
    step = world.run.steps.get(step="extract")
    step.output, step.escalated = trace.output, trace.escalated
    step.reason, step.cost_microusd = trace.reason, trace.cost_microusd or 0
    step.save()
    page = world.client("reviewer").get(f"/inspections/{world.inspection.pk}/")
    assert page.status_code == 200
    return " ".join(page.content.decode().split())


def test_share_and_cost_of_what_was_escalated(screens: Screens) -> None:
    page = shown(screens, record(SMALL, LARGE), record(SMALL), record(SMALL), record(SMALL, LARGE))
    assert "was asked for Colour, brand, defects; its answer counts for Colour, defects" in page
    assert "answered brand" in page
    assert "2 of 4 photos, 50 %" in page
    assert "Beyond the first engine: 2 of 4 photos (50 %), 0.100 ¢ of 0.101 ¢." in page
    assert "who said what" not in page, "told once"


def test_an_engine_that_failed_is_told_and_escaped(screens: Screens) -> None:
    page = shown(screens, record(SMALL, DOWN))
    assert "failed: server is &lt;b&gt;down&lt;/b&gt;" in page


def test_one_engine_alone_needs_no_list(screens: Screens) -> None:
    page = shown(screens, record(SMALL))
    assert "Beyond the first engine" not in page
    assert "who said what" in page
    assert SECRET in page


def test_output_of_an_earlier_form_is_passed_over(screens: Screens) -> None:
    step = screens.run.steps.get(step="extract")
    forms: list[Any] = [{}, [], {"escalation": 3}, {"escalation": {"cases": "many"}}]
    for output in forms:
        step.output = output
        (row,) = timeline([step], PlanSpec(name="P"))
        assert row.engines == []
        assert row.share == 0.0
