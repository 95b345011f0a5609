"""The shipped extractor: valid for any plan, repeatable, and silent where it cannot know."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models_runtime.contracts import Extraction, PhotoPixels
from models_runtime.errors import FatalError
from models_runtime.plans import PlanSpec
from models_runtime.registry import EngineSpec
from models_runtime.samples import draw_sample
from models_runtime.vlm import weights
from models_runtime.vlm.embedded import EmbeddedVLM, load

SOLAR = PlanSpec.model_validate(
    {
        "name": "Solar cells",
        "characteristics": [
            {"key": "state", "options": ["sound", "defective"]},
            {"key": "cracked", "kind": "boolean", "title": "Has cracks"},
            {"key": "condition", "kind": "scale", "title": "Condition"},
            {"key": "serial", "kind": "text"},
            {"key": "width", "kind": "number"},
        ],
        "defects": [
            {"key": "crack", "name": "Crack", "definition": "a thin dark line"},
            {"key": "dark", "name": "Dark area", "synonyms": ["inactive area"]},
        ],
    }
)
GARMENTS = PlanSpec.model_validate(
    {"name": "Garments", "characteristics": [{"key": "kind", "options": ["Dress", "Pants", "Hat"]}]}
)


@pytest.fixture(scope="module")
def engine() -> EmbeddedVLM:
    return load(EngineSpec("embedded"))


def photo(
    kind: str, defect: str | None, seed: int, size: tuple[int, int] = (300, 300)
) -> PhotoPixels:
    pixels, _ = draw_sample(kind, defect, seed, size)  # type: ignore[arg-type]
    return PhotoPixels(pixels, "0" * 64)


def noise(seed: int) -> PhotoPixels:
    numbers = np.random.default_rng(seed)
    return PhotoPixels(numbers.integers(0, 256, (240, 320, 3)).astype(np.uint8), "0" * 64)


def close(left: Extraction, right: Extraction) -> None:
    assert left.abstained == right.abstained
    assert left.defect_probability == pytest.approx(right.defect_probability, abs=1e-3)
    assert left.embedding == pytest.approx(right.embedding, abs=1e-3)
    assert [d.type for d in left.defects] == [d.type for d in right.defects]
    for one, other in zip(left.attributes, right.attributes, strict=True):
        assert one.value == other.value
        assert one.confidence == pytest.approx(other.confidence, abs=1e-3)


def test_every_characteristic_is_answered_in_its_own_terms(engine: EmbeddedVLM) -> None:
    (found,) = engine.extract([photo("solar", "crack", 3)], SOLAR)
    assert not found.abstained, found.reasons
    said = {a.key: a for a in found.attributes}
    assert said["state"].value in ("sound", "defective")
    assert sum(said["state"].alternatives.values()) == pytest.approx(1, abs=1e-6)
    assert isinstance(said["cracked"].value, bool)
    assert isinstance(said["condition"].value, int)
    assert 1 <= said["condition"].value <= 10
    for free in ("serial", "width"):
        assert said[free].abstained
        assert said[free].confidence == 0.0
    assert np.linalg.norm(found.embedding) == pytest.approx(1, abs=1e-3)


def test_state_words_agree_with_the_chance_of_a_defect(engine: EmbeddedVLM) -> None:
    for found in engine.extract([photo("solar", d, s) for d, s in ((None, 1), ("dark", 2))], SOLAR):
        cracked = next(a for a in found.attributes if a.key == "state")
        assert set(cracked.alternatives) == {"sound", "defective"}


def test_drawn_defects_are_likelier_on_photos_that_have_them(engine: EmbeddedVLM) -> None:
    sound = engine.extract([photo("solar", None, 7000 + s) for s in range(8)], SOLAR)
    broken = engine.extract([photo("solar", "dark", 7000 + s) for s in range(8)], SOLAR)
    chances = [np.mean([e.defect_probability for e in group]) for group in (sound, broken)]
    assert chances[0] + 0.2 < chances[1]


def test_noise_gets_no_answer_and_a_reason(engine: EmbeddedVLM) -> None:
    for plan in (SOLAR, GARMENTS):
        for found in engine.extract([noise(1), noise(2)], plan):
            assert found.abstained
            assert found.reasons
            assert found.defects == ()
            assert all(a.abstained for a in found.attributes)
            assert found.in_domain < 0.5


def test_a_solar_cell_under_a_garment_plan_gets_no_answer(engine: EmbeddedVLM) -> None:
    (found,) = engine.extract([photo("solar", None, 11)], GARMENTS)
    assert found.abstained
    assert "clothing" in found.reasons[0] or "unlike" in found.reasons[0]


def test_the_same_photo_gets_the_same_answer(engine: EmbeddedVLM) -> None:
    one = photo("solar", "crack", 5)
    assert engine.extract([one], SOLAR) == engine.extract([one], SOLAR)


def test_a_batch_answers_as_each_photo_alone(engine: EmbeddedVLM) -> None:
    photos = [photo("solar", d, s) for s, d in enumerate((None, "crack", "dark", "cross"))]
    photos += [photo("solar", None, 9, (200, 380))]
    together = engine.extract(photos, SOLAR)
    for single, found in zip(photos, together, strict=True):
        close(engine.extract([single], SOLAR)[0], found)


def test_the_order_of_options_does_not_matter(engine: EmbeddedVLM) -> None:
    turned = GARMENTS.model_dump(mode="json")
    turned["characteristics"][0]["options"].reverse()
    shots = [photo("garment", None, seed) for seed in range(4)]
    first = engine.extract(shots, GARMENTS)
    second = engine.extract(shots, PlanSpec.model_validate(turned))
    for one, other in zip(first, second, strict=True):
        assert one.attributes[0].value == other.attributes[0].value
        for value, chance in one.attributes[0].alternatives.items():
            assert other.attributes[0].alternatives[value] == pytest.approx(chance, abs=1e-5)


def test_boxes_lie_in_the_photo_and_their_severity_is_the_catalogues(engine: EmbeddedVLM) -> None:
    shots = [photo("solar", "dark", seed, (220, 460)) for seed in range(4)]
    for found in engine.extract(shots, SOLAR):
        assert len(found.defects) <= 20
        for defect in found.defects:
            assert defect.box.x2 <= 460
            assert defect.box.y2 <= 220
            assert defect.severity == "major"


def test_place_features_for_comparison_cover_the_photo(engine: EmbeddedVLM) -> None:
    features = engine.features(photo("wall", None, 1))
    assert features.dtype == np.float32
    assert features.ndim == 3
    assert features.shape[1] == features.shape[2] >= 32


def test_the_version_names_the_weights(engine: EmbeddedVLM) -> None:
    assert engine.ref.version.startswith("loupe-vlm-")
    assert len(engine.ref.version) == len("loupe-vlm-") + 12


def test_missing_weights_say_where_they_were_looked_for(tmp_path: object) -> None:
    with pytest.raises(FatalError, match="nowhere"):
        load(EngineSpec("embedded", f"{tmp_path}/nowhere.safetensors"))


def test_all_shipped_weights_together_are_small_enough_for_git() -> None:
    sizes = [path.stat().st_size for path in weights.FOLDER.glob("*.safetensors")]
    assert len(sizes) == 3
    assert sum(sizes) <= 40_000_000


WORDS = st.text(alphabet="abcdefgh ", min_size=1, max_size=12).filter(str.strip)


@st.composite
def plans(draw: st.DrawFn) -> PlanSpec:
    kinds = draw(st.lists(st.sampled_from(["choice", "boolean", "scale", "number"]), max_size=4))
    characteristics = [
        {
            "key": f"c{number}",
            "kind": kind,
            "title": draw(WORDS),
            "options": draw(st.lists(WORDS, min_size=2, max_size=4, unique=True))
            if kind == "choice"
            else [],
        }
        for number, kind in enumerate(kinds)
    ]
    names = draw(st.lists(WORDS, max_size=3))
    defects = [{"key": f"d{number}", "name": name} for number, name in enumerate(names)]
    name = draw(st.sampled_from(["Solar cells", "Walls", "Check"]))
    return PlanSpec.model_validate(
        {"name": name, "characteristics": characteristics, "defects": defects}
    )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans(), seed=st.integers(0, 50), defect=st.sampled_from([None, "crack", "dark"]))
def test_the_answer_fits_whatever_plan_is_asked(
    engine: EmbeddedVLM, plan: PlanSpec, seed: int, defect: str | None
) -> None:
    (found,) = engine.extract([photo("solar", defect, seed, (96, 128))], plan)
    assert [a.key for a in found.attributes] == [c.key for c in plan.characteristics]
    for asked, said in zip(plan.characteristics, found.attributes, strict=True):
        if said.abstained:
            assert said.value is None
        elif asked.options:
            assert said.value in [o.value for o in asked.options]
    assert {d.type for d in found.defects} <= {d.key for d in plan.defects}
    assert Extraction.model_validate(found.model_dump()) == found
