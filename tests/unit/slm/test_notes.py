import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_runtime.mlm.minilm import packaged_folder
from models_runtime.slm.notes import NoteTokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return NoteTokenizer(packaged_folder(), limit=16)


def test_each_sentence_is_read_on_its_own(tokenizer):
    assert len(tokenizer.segments("All fine. Guard missing!\nleaking; second line")) == 4


@pytest.mark.parametrize("note", ["", "   ", "\n\n"])
def test_a_blank_note_has_nothing_to_read(tokenizer, note):
    assert tokenizer.segments(note) == []


def test_nothing_of_a_long_sentence_is_left_out(tokenizer):
    segments = tokenizer.segments("dust " * 100 + "fire")
    inner = [token for row in segments for token in row[1:-1]]
    assert len(inner) == 101
    assert inner[-1] == tokenizer.ids("fire")[1]


@settings(deadline=None)
@given(st.text(max_size=300))
def test_every_segment_fits_the_network_whatever_the_note(tokenizer, note):
    assert all(2 < len(row) <= 16 for row in tokenizer.segments(note))
