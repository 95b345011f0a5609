"""No key or password of a setting reaches a record, a page, a log or a message."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_runtime.contracts import PhotoPixels
from models_runtime.errors import FatalError
from models_runtime.inspector import extract_photo
from models_runtime.plans import PlanSpec
from models_runtime.redaction import scrubbed, shown_setting, shown_url
from models_runtime.runtime import Runtime

SECRET = "sk-very-secret-4711"
PHOTO = PhotoPixels(np.zeros((20, 20, 3), np.uint8), "0" * 64)
SETTINGS = [
    f"openai:http://ada:{SECRET}@box:8000/v1?model=m&timeout=nonsense",
    f"openai:http://{SECRET}@box:8000/v1?model=m&timeout=nonsense",
    f"openai:http://box:8000/v1?model=m&api_key={SECRET}",
    f"openai:http://box:8000/v1?model=m&{SECRET}=1",
    f"openai:http://box:8000/v1?{SECRET}",
    f"openai:ada:{SECRET}@box/v1?model=m",
    f"openai:http://box:8000/v1?model=m&boxes=feet&key={SECRET}",
    f"openai:http://box:99999999/{SECRET}?model=m",
    f"embedded:?cost_per_hour=much&key={SECRET}",
    f"http://ada:{SECRET}@box/v1",
    f"{SECRET}:x",
    SECRET,
]
UNPARSED = ("embedded:?cost", SECRET)
"""Settings that stop the start of a cascade, instead of being passed over."""


@pytest.mark.parametrize("setting", SETTINGS)
def test_an_engine_that_cannot_be_loaded_is_told_without_its_secrets(setting: str) -> None:
    with pytest.raises(FatalError) as caught:
        extract_photo(Runtime.from_settings({"vlm": setting}), PHOTO, PlanSpec(name="P"))
    error: BaseException | None = caught.value
    while error is not None:
        if isinstance(error, FatalError):
            assert SECRET not in str(error)
        error = error.__cause__


@pytest.mark.parametrize(
    "setting", [s for s in SETTINGS if not s.startswith(UNPARSED) or ":x" in s]
)
def test_nor_does_the_record_of_a_cascade_that_went_on_without_it(setting: str) -> None:
    runtime = Runtime.from_settings({"vlm": f"{setting} memory:"})
    done = extract_photo(runtime, PHOTO, PlanSpec(name="P"))
    assert "failed" in done.record.reason
    assert SECRET not in done.record.model_dump_json()


def test_what_is_no_secret_stays_to_be_recognised() -> None:
    for plain in (
        "embedded:",
        "openai:http://gpu-box:8000/v1?model=Qwen3-VL&key_env=VLM_KEY&timeout=60",
        "segment-anything:vit_h?checkpoint=/models/sam_vit_h.pth&device=cuda",
        "transformers:/models/all-MiniLM-L12-v2",
    ):
        assert shown_setting(plain) == plain
    assert shown_url("https://ada:pw@[::1]:8000/v1?key=pw#pw") == "https://[::1]:8000/v1"
    assert scrubbed("see http://a:pw@h/ and pw2", ["pw2"]) == "see http://***@h/ and ***"


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_can_be_shown(before: str, after: str) -> None:
    assert SECRET not in shown_setting(f"openai:http://{SECRET}@{before}/{after}")
    assert isinstance(shown_setting(before), str)
