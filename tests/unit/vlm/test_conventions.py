"""Each family's own way to write a box, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_runtime.contracts import Box
from models_runtime.errors import FatalError
from models_runtime.vlm.conventions import CONVENTIONS, FAMILIES, Convention, convention_of


@pytest.mark.parametrize(
    ("family", "written"),
    [
        ("qwen2_vl", [250, 500, 500, 1000]),
        ("qwen2_5_vl", [252, 252, 504, 504]),
        ("qwen3_vl", [250, 500, 500, 1000]),
        ("internvl", [250, 500, 500, 1000]),
        ("llava", [0.25, 0.5, 0.5, 1.0]),
        ("paligemma", [512, 256, 1024, 512]),
        ("florence2", [250, 500, 500, 1000]),
        ("idefics3", [0.25, 0.5, 0.5, 1.0]),
    ],
)
def test_the_same_place_as_each_family_writes_it(family: str, written: list[float]) -> None:
    """The photo has 1000 × 500 pixels, the model saw it as 1008 × 504."""
    box = convention_of(family).in_photo(written, sent=(504, 1008), photo=(500, 1000))
    assert box is not None
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx((250, 250, 500, 500))


def test_a_setting_overrides_the_family() -> None:
    assert convention_of("qwen2_5_vl", "thousand").name == "thousand"
    with pytest.raises(FatalError, match="rows-thousand"):
        convention_of("qwen2_5_vl", "cubits")


def test_every_family_names_a_known_convention() -> None:
    assert set(FAMILIES.values()) <= set(CONVENTIONS.values())


SIDES = st.integers(20, 4000)
FRACTIONS = st.tuples(*[st.floats(0, 1)] * 4)


@given(st.sampled_from(list(CONVENTIONS.values())), SIDES, SIDES, FRACTIONS)
def test_there_and_back_is_the_same_box_up_to_a_step(
    convention: Convention, height: int, width: int, at: tuple[float, float, float, float]
) -> None:
    (x1, x2), (y1, y2) = sorted((at[0], at[2])), sorted((at[1], at[3]))
    if (x2 - x1) * width < 2 or (y2 - y1) * height < 2:
        return
    box = Box(x1=x1 * width, y1=y1 * height, x2=x2 * width, y2=y2 * height)
    size = (height, width)
    back = convention.in_photo(convention.written(box, size), size, size)
    step = max(size) / min(convention.scale(size)) if convention.whole else 0.01
    if back is None:
        assert min(box.x2 - box.x1, box.y2 - box.y1) < 1 + step
        return
    assert abs(back.x1 - box.x1) <= step
    assert abs(back.y2 - box.y2) <= step


@given(st.sampled_from(list(CONVENTIONS.values())), st.tuples(*[st.floats(-1e9, 1e9)] * 4))
def test_any_numbers_give_a_box_inside_the_photo_or_none(
    convention: Convention, numbers: tuple[float, float, float, float]
) -> None:
    box = convention.in_photo(numbers, (100, 200), (300, 400))
    assert box is None or (box.x2 <= 400 and box.y2 <= 300)
