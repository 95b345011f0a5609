"""Contact sheets: scores are right for plain cases, and a sheet has a tile for every sample."""

from __future__ import annotations

import numpy as np

from models_runtime.memory import memory_runtime
from models_runtime.training.sheets import LINE, SHOWN, TILE, best_and_worst, sheet, tried


def test_each_sample_is_scored_between_nothing_and_all() -> None:
    made = tried(memory_runtime(), "wall", count=8)
    assert [bool(one.drawn) for one in made] == [True, False] * 4
    assert all(0 <= one.score <= 1 for one in made)


def test_the_best_are_half_sound_and_the_worst_are_the_last() -> None:
    made = tried(memory_runtime(), "solar", count=2 * SHOWN + 4)
    best, worst = best_and_worst(made)
    assert len(best) == len(worst) == SHOWN
    assert sum(not one.drawn for one in best) == SHOWN // 2
    assert max(one.score for one in worst) <= sorted(one.score for one in made)[SHOWN - 1]


def test_a_sheet_shows_every_sample() -> None:
    made = tried(memory_runtime(), "garment", count=6)
    page = np.asarray(sheet(made, "Six"))
    assert page.shape[0] >= 40 + 2 * (TILE + LINE)
    assert page[60 : 60 + TILE // 2, 20:60].std() > 0
