import json

import numpy as np
import pytest

from models_runtime.errors import FatalError
from models_runtime.slm.reader import CaseReader
from models_runtime.training import slm, slm_cases, slm_measure, slm_notes, slm_phrases
from models_runtime.training.slm_phrases import Part


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A toy training run, as continuous integration does it."""
    folder = tmp_path_factory.mktemp("slm")
    slm.main(["--toy", "--out", str(folder / "out"), "--work", str(folder / "work")])
    return folder


def test_a_toy_run_leaves_weights_that_load_and_answer(toy):
    reader = CaseReader.from_files(toy / "out" / "loupe_slm")
    concern = reader.concern("the handle is broken")
    assert 0.0 <= concern.danger <= concern.defect <= concern.routine <= 1.0


def test_a_toy_run_says_what_it_was_trained_on_and_how_well_it_does(toy):
    config = json.loads((toy / "out" / "loupe_slm.json").read_text())
    metrics = json.loads((toy / "out" / "loupe_slm.metrics.json").read_text())
    assert "toy" in config["data"]
    assert metrics["notes"]["generated"]["n"] > 0
    assert metrics["latency_ms"]["p50"] > 0


def test_a_stopped_run_goes_on_where_it_was(toy, capsys):
    slm.main(["--toy", "--out", str(toy / "again"), "--work", str(toy / "work")])
    assert "goes on after epoch 1" in capsys.readouterr().out
    again = CaseReader.from_files(toy / "again" / "loupe_slm")
    first = CaseReader.from_files(toy / "out" / "loupe_slm")
    assert again.concern("broken handle") == first.concern("broken handle")


def test_weights_of_another_format_are_refused(toy, tmp_path):
    for suffix in (".json", ".safetensors"):
        data = (toy / "out" / f"loupe_slm{suffix}").read_bytes()
        (tmp_path / f"other{suffix}").write_bytes(data.replace(b"loupe.slm/1", b"loupe.slm/9"))
    with pytest.raises(FatalError, match="format"):
        CaseReader.from_files(tmp_path / "other")


def test_generated_notes_for_measuring_share_no_pattern_with_training():
    train = {text.lower() for text, _ in slm_phrases.generate(4000, Part.TRAIN, 1)}
    check = {text.lower() for text, _ in slm_phrases.generate(800, Part.VALIDATE, 1)}
    assert not train & check
    parts = [set(slm_phrases._part(slm_phrases.PATTERNS["danger"], part)) for part in Part]
    assert sum(len(part) for part in parts) == len(set.union(*parts))


def test_every_pattern_fills_with_words_there_are():
    for part in Part:
        texts = [text for text, _ in slm_phrases.generate(2000, part, 3)]
        assert not any("{" in text for text in texts)


def test_simulated_cases_are_calibrated_where_the_extractor_is():
    calm = {level: [(0.5, 0.3, 0.1)] for level in range(4)}
    site = slm_cases.Site(1.0, 0.0, 3.0, (0.3, 0.4, 0.3), 0.0)
    cases = slm_cases.simulate(4000, calm, 5, site)
    scores = np.array([case.row[9] for case in cases])
    truth = np.array([case.truth > 0 for case in cases])
    assert truth[scores > 0.9].mean() > 0.8
    assert truth[scores < 0.1].mean() < 0.2


def test_simulated_cases_repeat_with_the_seed():
    calm = {level: [(0.5, 0.3, 0.1)] for level in range(4)}
    assert slm_cases.simulate(50, calm, 5) == slm_cases.simulate(50, calm, 5)


def test_perfect_and_hopeless_answers_get_the_figures_they_deserve():
    truth = np.array([0, 1, 2, 3] * 25)
    perfect = np.eye(4)[truth] * 50
    assert slm_measure.summary(perfect, truth)["accuracy"] == 1.0
    assert slm_measure.summary(perfect, truth)["ece"] == 0.0
    overconfident = np.eye(4)[(truth + 1) % 4] * 50
    assert slm_measure.summary(overconfident, truth)["ece"] == 1.0
    assert slm_measure.summary(np.zeros((100, 4)), truth)["macro_f1"] < 0.2


def test_the_temperature_that_was_applied_is_found_again():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(4000, 4)) * 2
    truth = np.array([rng.choice(4, p=row) for row in slm_measure.softmax(logits)])
    assert slm_measure.temperature(logits * 2.0, truth) == pytest.approx(2.0, rel=0.15)


@pytest.mark.data
def test_no_note_is_both_trained_on_and_measured_on(photo_data):
    root = photo_data / "text"
    shapes = [
        {slm_notes._shape(note.text) for note in part(root)}
        for part in (slm_notes.training, slm_notes.validation, slm_notes.human)
    ]
    assert all(shapes)
    assert not shapes[0] & shapes[1]
    assert not shapes[0] & shapes[2]
