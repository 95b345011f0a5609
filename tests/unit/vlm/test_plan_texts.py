"""The plan's words: remembered once, and telling which photos the plan is about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models_runtime.contracts import Architecture, EngineRef
from models_runtime.mlm.minilm import load
from models_runtime.plans import PlanSpec
from models_runtime.registry import EngineSpec
from models_runtime.vlm import words
from models_runtime.vlm.plan_texts import (
    TextCache,
    plausible_domains,
    says_defective,
    says_sound,
)


class Counting:
    """An embedder that remembers what it was asked."""

    ref = EngineRef(architecture=Architecture.MLM, engine="counting", version="1")

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        rows = np.ones((len(texts), 384), np.float32)
        rows[:, 0] = [len(t) for t in texts]
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def cache() -> TextCache:
    return TextCache(load(EngineSpec("embedded")))


def test_each_text_is_embedded_once() -> None:
    embedder = Counting()
    cache = TextCache(embedder)
    first = cache.rows(["a", "bb", "a"])
    assert first.shape == (3, 384)
    cache.rows(["bb", "ccc"])
    assert embedder.asked == ["a", "bb", "ccc"]


def test_the_least_recently_used_text_is_forgotten_first() -> None:
    embedder = Counting()
    cache = TextCache(embedder, size=2)
    cache.rows(["a", "b"])
    cache.rows(["a"])
    cache.rows(["c"])
    cache.rows(["a"])
    cache.rows(["b"])
    assert embedder.asked == ["a", "b", "c", "b"]


@pytest.mark.parametrize(
    ("name", "options", "defects", "about"),
    [
        ("Solar cells", [], ["Crack", "Dark area"], "solar"),
        ("PV module QA", [], ["inactive region"], "solar"),
        ("Garments", ["T-Shirt", "Dress"], [], "garment"),
        ("Returns desk", ["Tee", "Gown", "Trousers"], [], "garment"),
        ("Bakery line 3", ["ok", "not ok"], ["missing piece"], "cookie"),
        ("Road survey", [], ["crack", "pothole"], "road"),
        ("Walls and roads", [], ["crack"], "wall"),
        ("Toys", [], ["missing part"], "toy"),
        ("Groceries", ["Fruit", "Packages"], [], "grocery"),
    ],
)
def test_plain_plans_are_about_the_photos_they_name(
    cache: TextCache, name: str, options: list[str], defects: list[str], about: str
) -> None:
    plan = _plan(name, options, defects)
    assert plausible_domains(cache, plan)[words.DOMAIN_NAMES.index(about)]


@pytest.mark.parametrize(
    ("name", "options", "defects", "not_about"),
    [
        ("Bottle caps", ["red", "blue"], ["dent"], "garment"),
        ("Garments", ["T-Shirt", "Dress"], [], "nuclei"),
        ("Solar cells", [], ["Crack"], "garment"),
        ("Fish market", ["cod", "salmon"], [], "solar"),
    ],
)
def test_plans_are_not_about_other_photos(
    cache: TextCache, name: str, options: list[str], defects: list[str], not_about: str
) -> None:
    plan = _plan(name, options, defects)
    assert not plausible_domains(cache, plan)[words.DOMAIN_NAMES.index(not_about)]


def test_a_plan_that_names_no_subject_may_be_about_anything(cache: TextCache) -> None:
    assert plausible_domains(cache, _plan("Inspection", ["ok", "defective"], [])).all()


def test_states_are_told_apart_by_their_words() -> None:
    assert says_sound("No defect")
    assert says_sound("Normal")
    assert says_defective("Is it damaged?")
    assert says_defective("anomaly")
    assert not says_sound("anomaly")
    assert not says_defective("no defect")


def _plan(name: str, options: list[str], defects: list[str]) -> PlanSpec:
    return PlanSpec.model_validate(
        {
            "name": name,
            "characteristics": [{"key": "kind", "options": options}] if options else [],
            "defects": [{"key": f"d{i}", "name": d} for i, d in enumerate(defects)],
        }
    )
