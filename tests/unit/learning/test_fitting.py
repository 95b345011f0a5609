"""What is learnt from labels: nothing from none, little from few, much from a realistic number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_runtime.calibration import expected_calibration_error, sigmoid
from models_runtime.learning.fitting import (
    NO_CHANGE,
    CaseLabel,
    FindingLabel,
    PhotoLabel,
    fit_defect_head,
    fit_finding_head,
    fit_severity_head,
)
from models_runtime.learning.heads import DefectHead, FindingHead, SeverityHead, log_odds
from models_runtime.learning.measuring import auroc
from models_runtime.learning.ridge import directions, fit_many, fit_two, folds_of

CHANCES = st.floats(0, 1)


class Shift:
    """A site whose camera makes the shipped model too sure and blind to one kind of defect, which
    its frozen features still show."""

    def __init__(self, seed: int, features: int = 24) -> None:
        self.rng = np.random.default_rng(seed)
        self.way = self.rng.normal(size=features)
        self.way /= np.linalg.norm(self.way)

    def labels(self, count: int) -> list[PhotoLabel]:
        traits = self.rng.normal(size=(count, len(self.way)))
        seen = self.rng.normal(size=count)
        truth = self.rng.random(count) < sigmoid(2.5 * traits @ self.way + 1.2 * seen - 0.5)
        said = sigmoid(3 * seen + 1.5)
        return [
            PhotoLabel(f"u{n}", float(said[n]), traits[n].astype(np.float32), bool(truth[n]))
            for n in range(count)
        ]


def judged(head: DefectHead, labels: list[PhotoLabel]) -> tuple[float, float, float]:
    """Share right, AUROC and calibration error on labels."""
    chance = np.array([head(label.chance, label.traits) for label in labels])
    truth = np.array([label.is_defective for label in labels])
    right = float(((chance >= 0.5) == truth).mean())
    ranked = auroc(chance[truth], chance[~truth])
    return right, ranked, expected_calibration_error(chance, truth, binning="equal mass")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_hundred_corrections_undo_most_of_a_shift(seed: int) -> None:
    site = Shift(seed)
    test = site.labels(2000)
    head, choice = fit_defect_head(site.labels(200))
    before, after = judged(DefectHead(), test), judged(head, test)
    assert choice.name.startswith("weights")
    assert before[0] < 0.65
    assert after[0] > before[0] + 0.12
    assert after[1] > before[1] + 0.12
    assert after[2] < before[2] / 2


def test_more_corrections_bring_more() -> None:
    site, right = Shift(5), []
    test = site.labels(2000)
    for count in (0, 40, 160, 640):
        right.append(judged(fit_defect_head(site.labels(count))[0], test)[0])
    assert right[0] - 0.02 < right[1] < right[2] < right[3] + 0.02
    assert right[3] > right[0] + 0.15


@given(CHANCES, st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_without_labels_nothing_changes(chance: float, traits: list[float]) -> None:
    row = np.array(traits, np.float32)
    assert fit_defect_head([])[0](chance, row) == chance
    assert fit_finding_head([])[0]("crack", chance, row) == chance
    numbers, chances = (0.5, 0.1), (chance, 1 - chance, 0.0, 0.0)
    assert fit_severity_head([])[0](numbers, chances) == chances


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 19))
def test_too_few_labels_change_nothing(seed: int, count: int) -> None:
    head, choice = fit_defect_head(Shift(seed).labels(count))
    assert choice.name == NO_CHANGE
    assert (head.slope, head.offset, len(head.weights)) == (0, 0, 0)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_where_the_shipped_model_is_honest_it_stays_nearly_as_it_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    chance = rng.uniform(0.02, 0.98, 60)
    truth = rng.random(60) < chance
    traits = rng.normal(size=(60, 12)).astype(np.float32)
    rows = [PhotoLabel(str(n), float(chance[n]), traits[n], bool(truth[n])) for n in range(60)]
    head, _ = fit_defect_head(rows)
    probe = np.linspace(0.05, 0.95, 50)
    others = rng.normal(size=(50, 12)).astype(np.float32)
    moved = [abs(head(float(c), o) - c) for c, o in zip(probe, others, strict=True)]
    assert np.mean(moved) < 0.25


def test_the_order_of_labels_does_not_matter() -> None:
    labels = Shift(8).labels(80)
    one, other = fit_defect_head(labels)[0], fit_defect_head(labels[::-1])[0]
    for label in labels[:20]:
        same = one(label.chance, label.traits)
        assert other(label.chance, label.traits) == pytest.approx(same, abs=1e-5)


def findings(count: int, seed: int = 0) -> list[FindingLabel]:
    """The model reports dirt (by the place's first feature) as surely as cracks."""
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(count, 10)).astype(np.float32)
    truth = places[:, 0] + 0.3 * rng.normal(size=count) > 0
    return [
        FindingLabel(f"u{n}", ("crack", "dent")[n % 2], 0.8, places[n], bool(truth[n]))
        for n in range(count)
    ]


def test_rejected_findings_stop_being_reported_and_confirmed_ones_stay() -> None:
    head, choice = fit_finding_head(findings(300))
    assert choice.name.startswith("weights")
    test = findings(1000, seed=1)
    kept = [x for x in test if head(x.type, x.chance, x.place) >= head.cut]
    confirmed = [x for x in test if x.is_defect]
    lost = 1 - sum(x.is_defect for x in kept) / len(confirmed)
    dropped = 1 - sum(not x.is_defect for x in kept) / (len(test) - len(confirmed))
    assert lost < 0.05
    assert dropped > 0.5


def test_few_confirmed_findings_are_never_dropped_by_the_cut() -> None:
    labels = findings(60)
    head, _ = fit_finding_head(labels)
    assert head.cut < 1
    confirmed = [head(x.type, x.chance, x.place) for x in labels if x.is_defect]
    assert min(confirmed) >= head.cut


def test_triage_learns_that_it_may_be_surer() -> None:
    rng = np.random.default_rng(3)
    rows = []
    for n in range(200):
        bad = n % 2 == 0
        numbers = (float(bad), float(rng.random()))
        rows.append(CaseLabel(f"u{n}", numbers, (0.45, 0.05, 0.45, 0.05), 2 if bad else 0))
    head, choice = fit_severity_head(rows)
    assert choice.name != NO_CHANGE
    surer = head((1.0, 0.5), (0.45, 0.05, 0.45, 0.05))
    assert surer[2] > 0.85
    assert sum(surer) == pytest.approx(1, abs=1e-4)


def test_a_fit_without_regularisation_is_maximum_likelihood() -> None:
    """Intercept only: the logarithm of the odds of 30 in 40 is ln 3."""
    truth = np.arange(40) < 30
    found = fit_two(np.zeros(40), np.ones((40, 1)), truth, np.array([1e12]))
    assert found[0] == pytest.approx(np.log(3), abs=1e-5)
    many = fit_many(np.zeros((40, 2)), np.ones((40, 1)), truth.astype(np.int64), np.array([1e6]))
    assert many[0, 1] - many[0, 0] == pytest.approx(np.log(3), abs=1e-4)


def test_a_model_that_was_sure_and_wrong_does_not_break_the_fit() -> None:
    truth = np.arange(60) < 15
    found = fit_two(np.full(60, 3.0), np.ones((60, 1)), truth, np.array([100.0]))
    assert 3 + found[0] == pytest.approx(np.log(15 / 45), abs=0.02)


def test_folds_keep_units_together_and_do_not_depend_on_order() -> None:
    groups = ["a", "b", "a", "c", "d", "e", "f", "b"]
    folds = dict(zip(groups, folds_of(groups, 3).tolist(), strict=True))
    assert folds == dict(zip(groups[::-1], folds_of(groups[::-1], 3).tolist(), strict=True))
    assert all(folds[g] == f for g, f in zip(groups, folds_of(groups, 3), strict=True))


def test_photos_that_are_all_alike_have_no_directions() -> None:
    assert directions(np.ones((5, 3)), 4).axes.shape == (3, 0)


def test_heads_refuse_features_of_another_kind() -> None:
    head = DefectHead(weights=np.ones(3, np.float32))
    with pytest.raises(ValueError, match="3 features, not 2"):
        head(0.5, np.ones(2, np.float32))
    assert FindingHead(offset=1.0)("crack", 0.5, np.ones(2, np.float32)) == pytest.approx(
        float(sigmoid(np.array(1.0)))
    )
    assert log_odds(0.0) == pytest.approx(-log_odds(1.0))
    assert SeverityHead()((), (1.0, 0.0, 0.0, 0.0)) == (1.0, 0.0, 0.0, 0.0)
