import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_runtime.contracts import AttributeResult, Box, Finding
from models_runtime.errors import InputError
from models_runtime.mlm import minilm
from models_runtime.mlm.routing import (
    PlanCandidate,
    PlanRouter,
    RouteHints,
    inspection_text,
    query_text,
)
from models_runtime.plans import PlanSpec, Severity
from models_runtime.registry import EngineSpec

PLANS = (
    PlanCandidate(
        key="solar",
        name="Solar cells",
        description="Electroluminescence photos of photovoltaic cells.",
        words=("crack", "dark area"),
    ),
    PlanCandidate(
        key="garments",
        name="Garments for resale",
        description="Second-hand clothing returned by customers.",
        words=("T-shirt", "trousers", "stain"),
    ),
    PlanCandidate(
        key="roads",
        name="Walls and roads",
        description="Concrete, plaster and asphalt.",
        words=("pothole", "spalling"),
    ),
)


class HashEmbedder:
    """Unit vectors that mean nothing, for laws that must hold whatever the meaning."""

    def embed(self, texts):
        rows = np.zeros((len(texts), 8), dtype=np.float32)
        for n, text in enumerate(texts):
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
            rows[n] = np.random.default_rng(seed).normal(size=8)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def router():
    return PlanRouter(minilm.load(EngineSpec.parse("embedded:")))


@pytest.mark.parametrize(
    ("note", "filename", "plan"),
    [
        ("PV module, cell with crack", "", "solar"),
        ("returned jeans", "", "garments"),
        ("", "asphalt-street_pothole_0012.jpg", "roads"),
        ("hoodie, size M", "IMG_2041.JPG", "garments"),
    ],
)
def test_words_of_the_operator_lead_to_the_plan(router, note, filename, plan):
    routing = router.route(PLANS, RouteHints(note=note, filename=filename))
    assert routing.chosen == plan
    assert routing.ranked[0].key == plan
    assert plan in routing.reason


def test_what_fits_no_plan_is_left_to_a_person(router):
    routing = router.route(PLANS, RouteHints(note="quarterly revenue of the airline"))
    assert routing.abstained
    assert routing.none_score > 0.5


def test_two_plans_alike_are_left_to_a_person(router):
    twin = PLANS[0].model_copy(update={"key": "solar-2"})
    routing = router.route((*PLANS, twin), RouteHints(note="solar cell"))
    assert routing.abstained
    assert "equally" in routing.reason


def test_the_photo_decides_where_there_are_no_words(router):
    photo = minilm.load(EngineSpec.parse("embedded:")).embed(["a photo of asphalt with a pothole"])
    hints = RouteHints(filename="IMG_1.jpg", image_embedding=tuple(photo[0].tolist()))
    assert router.route(PLANS, hints).chosen == "roads"


def test_nothing_to_go_by_is_said(router):
    routing = router.route(PLANS, RouteHints(filename="IMG_20240501_113000.jpg"))
    assert routing.abstained
    assert "no note" in routing.reason
    assert router.route((), RouteHints(note="x")).reason == "there is no plan to choose from"


def test_a_photo_of_another_space_is_left_out_and_the_reason_says_so(router):
    words = RouteHints(note="PV module, cell with crack")
    with_photo = words.model_copy(update={"image_embedding": (0.1, 0.2)})
    routing = router.route(PLANS, with_photo)
    assert routing.ranked == router.route(PLANS, words).ranked
    assert routing.chosen == "solar"
    assert "photo was left out: its embedding has 2 numbers, the texts' 384" in routing.reason


def test_with_only_a_photo_of_another_space_a_person_chooses(router):
    routing = router.route(PLANS, RouteHints(image_embedding=(0.1, 0.2)))
    assert routing.abstained
    assert "no note" in routing.reason
    assert "photo was left out" in routing.reason


def test_doubled_plan_keys_are_refused(router):
    with pytest.raises(InputError, match="same key"):
        router.route((PLANS[0], PLANS[0]), RouteHints(note="x"))


@settings(deadline=None)
@given(st.text(max_size=80), st.integers(1, 3))
def test_scores_are_chances_that_add_up_whatever_the_note(note, count):
    routing = PlanRouter(HashEmbedder()).route(PLANS[:count], RouteHints(note=note))
    if routing.ranked:
        total = sum(plan.score for plan in routing.ranked) + routing.none_score
        assert total == pytest.approx(1.0, abs=1e-3)
        scores = [plan.score for plan in routing.ranked]
        assert scores == sorted(scores, reverse=True)


def test_the_order_of_the_plans_does_not_matter():
    router = PlanRouter(HashEmbedder())
    hints = RouteHints(note="cracked wall")
    assert router.route(PLANS, hints) == router.route(PLANS[::-1], hints)


@pytest.mark.parametrize(
    ("filename", "words"),
    [
        ("IMG_1234.JPG", ""),
        ("DSC00012.jpg", ""),
        ("solar_cell-12.png", "solar cell"),
        ("C:\\photos\\kitchen wall.heic", "kitchen wall"),
        ("../../etc/passwd", "passwd"),
    ],
)
def test_camera_names_say_nothing_and_telling_names_do(filename, words):
    assert query_text(RouteHints(filename=filename)) == words


PLAN = PlanSpec.model_validate(
    {
        "name": "Solar cells",
        "characteristics": [{"key": "label", "title": "Label present", "kind": "boolean"}],
        "defects": [{"key": "crack", "name": "Crack"}, {"key": "dark", "name": "Dark area"}],
    }
)


def _finding(key, kind):
    return Finding(
        id=key,
        type=kind,
        box=Box(x1=0, y1=0, x2=1, y2=1),
        mask=None,
        area_px=1,
        severity=Severity.MAJOR,
        confidence=0.5,
    )


def test_an_inspection_in_words_names_defects_attributes_and_note():
    label = AttributeResult(key="label", value=True, confidence=0.9)
    text = inspection_text(PLAN, [label], [_finding("a", "crack")], note="from\nline 2")
    assert text == "Crack major. Solar cells, product. Label present yes. from line 2."


def test_the_order_of_findings_does_not_change_the_search_text():
    pair = [_finding("a", "dark"), _finding("b", "crack")]
    assert inspection_text(PLAN, [], pair) == inspection_text(PLAN, [], pair[::-1])


def test_an_inspection_without_findings_says_so():
    assert inspection_text(PLAN, [], []).startswith("no defect found")
