"""Loupe-VLM's files: what is written is what is read, in bytes where that is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from models_runtime.errors import FatalError
from models_runtime.vlm import weights
from models_runtime.vlm.familiar import Memory
from models_runtime.vlm.model import LoupeVLM, Networks, Shape
from models_runtime.vlm.weights import CHECKS, SCALE, SHOWS, Fitted

SHAPE = Shape((8, 8, 16, 16), (1, 1, 1, 1), 8, checks=True)
SIZES: dict[str, list[int] | int] = {
    "widths": list(SHAPE.widths), "depths": list(SHAPE.depths), "pyramid": 8, "checks": 1,
}  # fmt: skip


def networks() -> Networks:
    torch.manual_seed(0)
    return Networks(
        shows=LoupeVLM(replace(SHAPE, finds=False, checks=False)).eval(),
        finds=LoupeVLM(replace(SHAPE, shows=False, checks=False)).eval(),
        checks=LoupeVLM(replace(SHAPE, shows=False, finds=False)).eval(),
    )


def memory() -> Memory:
    kept = weights.load(weights.FOLDER / f"{weights.NAME}.safetensors").memory
    return Memory(**kept.tensors())


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vlm") / "small.safetensors"
    weights.save(networks(), memory(), Fitted(shape=SIZES), path)
    return path


def test_networks_answer_after_loading_as_they_did_before(saved: Path) -> None:
    made, read = networks(), weights.load(saved).networks
    pixels = torch.rand(2, 3, 64, 64)
    texts = torch.nn.functional.normalize(torch.rand(2, 384), dim=1)
    with torch.inference_mode():
        before, after = made.finds(pixels, meaning=False), read.finds(pixels, meaning=False)
        assert torch.allclose(before.evidence, after.evidence, atol=2e-3)
        shows = [net(pixels, places=False).meaning for net in (made.shows, read.shows)]
        assert torch.nn.functional.cosine_similarity(*shows).min() > 0.999
        assert made.checks is not None
        assert read.checks is not None
        states = [
            net.checks(net(pixels, meaning=False).coarse, texts)[0]
            for net in (made.checks, read.checks)
        ]
        assert torch.allclose(*states, atol=0.02)


def test_matrices_of_some_parts_are_bytes_and_all_else_halves(saved: Path) -> None:
    for name, tensor in load_file(saved).items():
        in_bytes = name.startswith((SHOWS, CHECKS)) and tensor.ndim > 1
        assert (tensor.dtype == torch.int8) == in_bytes, name
        assert (name + SCALE in load_file(saved)) == in_bytes, name


@given(st.integers(1, 6), st.integers(1, 9), st.floats(1e-6, 1e4), st.integers(0, 99))
def test_a_matrix_kept_in_bytes_is_off_by_half_a_step_of_its_row_at_most(
    rows: int, columns: int, size: float, seed: int
) -> None:
    value = size * torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    kept = weights._packed(SHOWS, "w", value)
    again = weights._unpacked(kept)[SHOWS + "w"]
    step = value.abs().amax(1, keepdim=True) / 127
    assert bool(((again - value).abs() <= 0.501 * step + 1e-12).all())


def test_a_row_of_noughts_stays_one() -> None:
    kept = weights._packed(SHOWS, "w", torch.zeros(2, 3))
    assert not weights._unpacked(kept)[SHOWS + "w"].any()


def test_weights_of_another_shape_are_refused_with_a_word_on_why(saved: Path) -> None:
    other = saved.with_name("other.safetensors")
    other.write_bytes(saved.read_bytes())
    wider = Fitted(shape={**SIZES, "widths": [8, 8, 16, 32]})
    other.with_suffix(".json").write_text(wider.model_dump_json())
    with pytest.raises(FatalError, match="another version of Loupe-VLM"):
        weights.load(other)


def test_a_photo_of_a_station_is_not_checked_without_that_network(tmp_path: Path) -> None:
    path = tmp_path / "two.safetensors"
    two = replace(networks(), checks=None)
    weights.save(two, memory(), Fitted(shape={**SIZES, "checks": 0}), path)
    assert weights.load(path).networks.checks is None
