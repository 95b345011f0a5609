"""The steps from a photo to findings, a verdict, a report and actions, on the in-memory runtime."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from models_runtime import masks, outlining
from models_runtime.contracts import (
    ActionInput,
    Architecture,
    Box,
    Comparison,
    DefectCandidate,
    Deviation,
    Disposition,
    Extraction,
    Finding,
    FindingSource,
    MaskCandidate,
    PhotoPixels,
    Report,
    ReportInput,
    TriageInput,
)
from models_runtime.errors import EngineError, FatalError, InputError, TransientError
from models_runtime.inspector import (
    case_text,
    embed_text,
    extract_photo,
    extract_photos,
    photo_embedding,
    plan_actions,
    route_photo,
    segment_findings,
    triage_case,
    write_report,
)
from models_runtime.llm.template import TemplateWriter
from models_runtime.memory import MemorySegmenter, MemoryWriter, memory_runtime
from models_runtime.plans import PlanSpec, Severity
from models_runtime.registry import DEFAULTS, EngineSpec
from models_runtime.runtime import Runtime
from models_runtime.scaling import WorkingCopy

PLAN = PlanSpec.model_validate(
    {
        "name": "Lids",
        "description": "round metal lids",
        "characteristics": [{"key": "colour", "options": ["silver", "gold"]}],
        "defects": [{"key": "hole", "name": "hole", "severity": "critical"}],
        "mm_per_px": 0.5,
        "playbook": [{"destination": "webhook"}],
    }
)
GARMENTS = PlanSpec(name="Garments", description="shirts and trousers for resale")


def photo(black: tuple[int, int, int, int] | None = (20, 10, 60, 40)) -> PhotoPixels:
    """White, with a black rectangle x1, y1, x2, y2."""
    pixels = np.full((80, 100, 3), 240, dtype=np.uint8)
    if black:
        x1, y1, x2, y2 = black
        pixels[y1:y2, x1:x2] = 0
    return PhotoPixels(pixels, "ab" * 32)


def case(extraction: Extraction, findings: tuple = ()) -> TriageInput:
    return TriageInput(
        plan=PLAN,
        attributes=extraction.attributes,
        findings=findings,
        defect_probability=extraction.defect_probability,
        in_domain=extraction.in_domain,
        extraction_abstained=extraction.abstained,
    )


def test_photo_goes_all_the_way_to_an_action() -> None:
    runtime = memory_runtime()
    extracted = extract_photo(runtime, photo(), PLAN)
    assert extracted.record.architecture is Architecture.VLM
    assert extracted.value.attributes[0].value == "silver"
    segmented = segment_findings(runtime, photo(), extracted.value.defects, PLAN)
    (finding,) = segmented.value
    assert (finding.type, finding.area_px, finding.area_mm2) == ("hole", 1200, 300.0)
    assert (finding.length_px, finding.length_mm) == (40.0, 20.0)
    assert finding.mask is not None
    assert masks.decode(finding.mask)[10:40, 20:60].all()
    verdict = triage_case(runtime, case(extracted.value, segmented.value))
    assert verdict.value.disposition is Disposition.REJECT
    evidence = ReportInput(
        plan=PLAN, reference="Lid 7", attributes=(), findings=(finding,), triage=verdict.value
    )
    report = write_report(runtime, evidence)
    assert report.record.confidence == 1.0
    assert f"finding:{finding.id}" in report.value.claims[1].evidence
    actions = plan_actions(
        runtime, ActionInput(plan=PLAN, triage=verdict.value, findings=(finding,))
    )
    assert actions.value.actions[0].finding_id == finding.id
    for record in (extracted.record, segmented.record, verdict.record, report.record):
        assert record.run_ms >= 0
        assert record.reason


def test_finding_ids_stay_the_same_over_runs_and_differ_between_photos() -> None:
    runtime = memory_runtime()
    candidates = extract_photo(runtime, photo(), PLAN).value.defects
    first = segment_findings(runtime, photo(), candidates, PLAN).value[0].id
    again = segment_findings(runtime, photo(), candidates, PLAN).value[0].id
    other = PhotoPixels(photo().pixels, "cd" * 32)
    assert first == again
    assert segment_findings(runtime, other, candidates, PLAN).value[0].id != first


def test_sound_photo_loads_no_segmenter() -> None:
    runtime = memory_runtime(sam="embedded:/nowhere")
    done = segment_findings(runtime, photo(None), (), PLAN)
    assert done.value == ()
    assert done.record.architecture is Architecture.RULES


@dataclass(frozen=True)
class Scripted(MemorySegmenter):
    """Always answers with this mask and this estimate of itself."""

    pixels: tuple[int, int] = (0, 0)
    sure: float = 0.9

    def decode(self, embedding, prompts):
        mask = np.zeros(embedding.size, bool)
        mask[: self.pixels[0], : self.pixels[1]] = True
        rle = masks.encode(mask)
        candidate = MaskCandidate(
            mask=rle,
            predicted_iou=self.sure,
            area=int(mask.sum()),
            box=masks.bounding_box(rle),
        )
        return [(candidate,) for _ in prompts]


def with_segmenter(engine: MemorySegmenter) -> Runtime:
    runtime = memory_runtime()
    runtime.registry.put(Architecture.SAM, "memory:", engine)
    return runtime


@pytest.mark.parametrize("engine", [Scripted(), Scripted(pixels=(5, 5), sure=0.1)])
def test_empty_or_hopeless_mask_leaves_the_box(engine: Scripted) -> None:
    candidate = DefectCandidate(
        type="hole", box=Box(x1=90, y1=70, x2=130, y2=90), confidence=0.7, severity=Severity.MINOR
    )
    done = segment_findings(with_segmenter(engine), photo(), [candidate], PLAN)
    (finding,) = done.value
    assert finding.mask is None
    assert finding.mask_confidence is None
    assert finding.box == Box(x1=90, y1=70, x2=100, y2=80), "cut to the photo"
    assert finding.area_px == 100
    assert (finding.length_px, finding.length_mm) == (10.0, 5.0), "the longer side of the box"
    assert "1 of 1 keep their box only" in done.record.reason


def test_of_masks_as_good_as_each_other_the_tighter_one_is_taken() -> None:
    loose, tight, small = np.zeros((3, 80, 120), bool)
    loose[10:40, 20:60] = tight[10:40, 20:30] = small[10:12, 20:22] = True
    choices = [
        MaskCandidate(
            mask=masks.encode(pixels), predicted_iou=sure, area=int(pixels.sum()), box=None
        )
        for pixels, sure in ((loose, 0.60), (tight, 0.59), (small, 0.30))
    ]
    best = outlining._tightest_of_the_best(choices)
    assert best is choices[1]
    assert outlining._tightest_of_the_best([]) is None


def test_candidate_outside_the_photo_is_dropped() -> None:
    candidate = DefectCandidate(
        type="hole", box=Box(x1=300, y1=300, x2=310, y2=310), confidence=0.7, severity="minor"
    )
    assert segment_findings(memory_runtime(), photo(), [candidate], PLAN).value == ()


def test_without_a_scale_there_are_pixels_and_no_millimetres() -> None:
    unscaled = PLAN.model_copy(update={"mm_per_px": None})
    candidates = extract_photo(memory_runtime(), photo(), unscaled).value.defects
    (finding,) = segment_findings(memory_runtime(), photo(), candidates, unscaled).value
    assert (finding.area_mm2, finding.length_mm) == (None, None)
    assert finding.length_px == 40.0


def test_finding_stored_before_there_were_lengths_is_still_read() -> None:
    candidates = extract_photo(memory_runtime(), photo(), PLAN).value.defects
    (finding,) = segment_findings(memory_runtime(), photo(), candidates, PLAN).value
    old = finding.model_dump(mode="json", exclude={"length_px", "length_mm"})
    assert Finding.model_validate(old).length_px is None


def test_two_candidates_with_the_same_mask_are_one_finding() -> None:
    runtime = with_segmenter(Scripted(pixels=(20, 20)))
    candidates = [
        DefectCandidate(
            type="hole", box=Box(x1=0, y1=0, x2=x, y2=20), confidence=sure, severity="major"
        )
        for x, sure in ((20, 0.6), (30, 0.8))
    ]
    (finding,) = segment_findings(runtime, photo(), candidates, PLAN).value
    assert finding.confidence == 0.8


def deviation(box: tuple[int, int, int, int], score: float) -> Comparison:
    x1, y1, x2, y2 = box
    mask = np.zeros((80, 100), bool)
    mask[y1:y2, x1:x2] = True
    place = Deviation(Box(x1=x1, y1=y1, x2=x2, y2=y2), mask, score)
    return Comparison(score, np.zeros((4, 4), np.float32), (place,))


def test_deviation_from_golden_becomes_a_finding_of_its_own_kind() -> None:
    done = segment_findings(memory_runtime(), photo(), (), PLAN, deviation((5, 50, 15, 60), 0.8))
    (finding,) = done.value
    assert (finding.type, finding.source) == ("deviation", FindingSource.GOLDEN)
    assert finding.area_px == 100


def test_extractors_word_names_a_deviation_in_the_same_place_and_both_make_it_surer() -> None:
    runtime = memory_runtime()
    candidates = extract_photo(runtime, photo(), PLAN).value.defects
    done = segment_findings(runtime, photo(), candidates, PLAN, deviation((22, 12, 60, 40), 0.5))
    (finding,) = done.value
    assert (finding.type, finding.source) == ("hole", FindingSource.VLM)
    assert finding.confidence == pytest.approx(1 - 0.1 * 0.5)


def test_coarse_pixels_of_the_comparison_stand_in_for_a_hopeless_mask() -> None:
    runtime = with_segmenter(Scripted())
    done = segment_findings(runtime, photo(), (), PLAN, deviation((5, 50, 15, 60), 0.8))
    assert done.value[0].area_px == 100
    assert done.value[0].mask is not None
    assert done.value[0].mask_confidence is None


def test_one_plan_is_chosen_without_a_model_and_several_by_meaning() -> None:
    runtime = memory_runtime()
    assert route_photo(runtime, [PLAN], "").record.architecture is Architecture.RULES
    routed = route_photo(runtime, [PLAN, GARMENTS], "blue shirts for resale")
    assert routed.value.plan == 1
    assert 0.5 < sum(routed.value.scores) <= 1
    assert routed.record.architecture is Architecture.MLM


def test_without_words_the_photo_itself_chooses_or_a_person() -> None:
    runtime = memory_runtime()
    assert route_photo(runtime, [PLAN, GARMENTS], " ").value.plan is None
    like_lids = embed_text(runtime, "Lids round metal lids").value
    assert route_photo(runtime, [PLAN, GARMENTS], "", like_lids).value.plan == 0
    assert len(photo_embedding(runtime, photo())) == 384


def test_unclear_route_goes_to_a_person() -> None:
    plans = [PlanSpec(name="same words"), PlanSpec(name="same words"), PlanSpec(name="same words")]
    routed = route_photo(memory_runtime(), plans, "same words")
    assert routed.value.plan is None
    assert routed.record.to_person


def test_case_text_tells_what_was_found() -> None:
    runtime = memory_runtime()
    extracted = extract_photo(runtime, photo(), PLAN).value
    found = segment_findings(runtime, photo(), extracted.defects, PLAN).value
    triage = triage_case(runtime, case(extracted, found)).value
    text = case_text(PLAN, extracted.attributes, found, triage, " dented edge ")
    for words in ("hole critical", "Lids", "colour silver", "disposition reject", "dented edge"):
        assert words in text


def test_unsure_triage_is_sent_to_a_person_even_if_the_engine_did_not_ask() -> None:
    extraction = extract_photo(memory_runtime(), photo(None), PLAN).value
    strict = PLAN.model_copy(
        update={"policy": PLAN.policy.model_copy(update={"review_below": 0.99})}
    )
    done = triage_case(memory_runtime(), case(extraction).model_copy(update={"plan": strict}))
    assert done.value.needs_review
    assert done.record.to_person


def test_large_photo_is_inspected_small_and_found_in_its_own_pixels() -> None:
    pixels = np.full((4001, 5003, 3), 240, dtype=np.uint8)
    pixels[1000:2000, 3000:4000] = 0
    large = PhotoPixels(pixels, "ef" * 32)
    assert WorkingCopy.of(large).photo.width == 2502
    runtime = memory_runtime()
    candidates = extract_photo(runtime, large, PLAN).value.defects
    (finding,) = segment_findings(runtime, large, candidates, PLAN).value
    assert finding.mask is not None
    assert finding.mask.size == (4001, 5003)
    assert abs(finding.area_px - 1_000_000) < 10_000
    assert abs(finding.box.x1 - 3000) <= 3


def test_batch_is_asked_in_one_call_and_keeps_its_order() -> None:
    photos = [photo(), photo(None), photo()]
    done = extract_photos(memory_runtime(), photos, PLAN)
    assert [len(d.value.defects) for d in done] == [1, 0, 1]
    assert extract_photos(memory_runtime(), [], PLAN) == []


def test_scripted_extraction_is_answered_for_its_photo() -> None:
    nothing = Extraction(
        attributes=(),
        defects=(),
        defect_probability=0.5,
        in_domain=0.0,
        confidence=0.1,
        abstained=True,
        reasons=("unlike the training photos",),
    )
    done = extract_photo(memory_runtime({"ab" * 32: nothing}), photo(), PLAN)
    assert done.value == nothing
    assert done.record.to_person


def test_settings_come_from_the_environment_and_wrong_ones_are_named() -> None:
    runtime = Runtime.from_environment({"LOUPE_VLM": "memory:", "LOUPE_COST_PER_HOUR": "2"})
    assert runtime.settings[Architecture.VLM] == "memory:"
    assert runtime.settings[Architecture.SAM] == DEFAULTS[Architecture.SAM]
    assert runtime.cost_per_hour == 2
    with pytest.raises(FatalError, match="LOUPE_COST_PER_HOUR"):
        Runtime.from_environment({"LOUPE_COST_PER_HOUR": "cheap"})
    with pytest.raises(FatalError, match="no such architecture: gan"):
        Runtime.from_settings({"gan": "embedded:"})
    with pytest.raises(FatalError, match="no engine is set"):
        Runtime.from_settings({"vlm": " "}).tiers(Architecture.VLM)


def test_engine_states_its_own_price_and_does_not_see_that_option() -> None:
    runtime = Runtime.from_settings({"vlm": "memory:?cost_per_hour=3.5 embedded:"}, 0.1)
    assert [t.cost_per_hour for t in runtime.tiers(Architecture.VLM)] == [3.5, 0.1]
    with pytest.raises(FatalError, match="not a number"):
        Runtime.from_settings({"vlm": "memory:?cost_per_hour=x"}).tiers(Architecture.VLM)


def test_engine_is_loaded_once_for_all_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    runtime = memory_runtime()
    with ThreadPoolExecutor(8) as pool:
        engines = list(pool.map(lambda _: runtime.segmenter(), range(32)))
    assert len({id(engine) for engine in engines}) == 1


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("embedded:", EngineSpec("embedded")),
        (
            "openai:http://box:8000/v1?model=m",
            EngineSpec("openai", "http://box:8000/v1", {"model": "m"}),
        ),
        (
            "openai:http://box/v1?key=a?model=m",
            EngineSpec("openai", "http://box/v1?key=a", {"model": "m"}),
        ),
    ],
)
def test_setting_string_is_parsed(text: str, spec: EngineSpec) -> None:
    assert EngineSpec.parse(text) == spec


def test_unknown_engine_names_those_there_are() -> None:
    with pytest.raises(FatalError, match=r"no sam engine called 'magic'; there are: embedded, mem"):
        Runtime.from_settings({"sam": "magic:"}).segmenter()
    with pytest.raises(FatalError, match="has no scheme"):
        EngineSpec.parse("embedded")


def test_transient_error_of_the_only_engine_reaches_the_caller() -> None:
    @dataclass(frozen=True)
    class Down(MemorySegmenter):
        def embed(self, photo):
            raise TransientError("busy", retry_after=3)

    candidates = extract_photo(memory_runtime(), photo(), PLAN).value.defects
    with pytest.raises(TransientError) as caught:
        segment_findings(with_segmenter(Down()), photo(), candidates, PLAN)
    assert caught.value.retry_after == 3


@dataclass(frozen=True)
class BrokenWriter(MemoryWriter):
    """A writer whose server is down, or that can't do this at all."""

    error: EngineError = field(default_factory=lambda: TransientError("busy"))

    def write(self, evidence: ReportInput) -> Report:
        raise self.error


def some_evidence() -> ReportInput:
    extracted = extract_photo(memory_runtime(), photo(), PLAN).value
    found = segment_findings(memory_runtime(), photo(), extracted.defects, PLAN).value
    triage = triage_case(memory_runtime(), case(extracted, found)).value
    return ReportInput(plan=PLAN, reference="Lid 7", attributes=(), findings=found, triage=triage)


@pytest.mark.parametrize(
    "error",
    [TransientError("server is down", retry_after=3), FatalError("server is down"),
     InputError("server is down")],
)  # fmt: skip
def test_template_writes_where_the_configured_writer_fails(error: EngineError) -> None:
    runtime = memory_runtime()
    runtime.registry.put(Architecture.LLM, "memory:", BrokenWriter(error=error))
    evidence = some_evidence()
    done = write_report(runtime, evidence)
    assert done.value.writer == "template (the configured writer failed)"
    assert done.value.claims == TemplateWriter().write(evidence).claims
    assert (done.record.engine, done.record.escalated) == ("template", True)
    assert not done.record.to_person
    assert done.record.confidence == 1.0
    assert "memory failed (server is down)" in done.record.reason
    assert "the configured writer failed, the template wrote" in done.record.reason


def test_writer_that_cannot_be_loaded_is_replaced_too() -> None:
    done = write_report(memory_runtime(llm="magic:"), some_evidence())
    assert done.value.writer == "template (the configured writer failed)"
    assert "no llm engine called 'magic'" in done.record.reason


def test_configured_template_is_not_asked_twice_and_keeps_its_name() -> None:
    runtime = memory_runtime(llm="memory: template:")
    runtime.registry.put(Architecture.LLM, "memory:", BrokenWriter())
    done = write_report(runtime, some_evidence())
    assert done.value.writer == TemplateWriter().write(some_evidence()).writer
    assert "memory failed (busy), then template" in done.record.reason
    assert write_report(memory_runtime(), some_evidence()).value.writer == "memory"
