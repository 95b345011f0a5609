"""Decoding that can only give JSON of a schema, with llguidance's token masks.

llguidance (Microsoft, MIT) keeps a parser per sequence and says which tokens may come next; here
its bit mask is applied to the logits of ``transformers.generate``.
"""

from __future__ import annotations

import json
from typing import Any

import llguidance
import llguidance.hf
import torch
from torch import Tensor
from transformers import LogitsProcessor

from models_runtime.errors import FatalError
from models_runtime.openai_client import Token

_BITS = torch.arange(32, dtype=torch.int32)
_STEP, _FINE_STEP = 0.001, 0.000001
"""Numbers get so many decimals and no more: a fraction without end is written to the token cap."""


class JsonSchemaProcessor(LogitsProcessor):
    """One use only: holds the parser of one generate call of one sequence."""

    def __init__(self, tokenizer: llguidance.LLTokenizer, schema: dict[str, Any]) -> None:
        try:
            written = json.dumps(with_bounded_decimals(schema), allow_nan=False)
        except ValueError as error:
            raise FatalError(f"the JSON schema cannot be decoded: {error}") from error
        grammar = llguidance.LLMatcher.grammar_from_json_schema(
            written, defaults={"whitespace_flexible": False}
        )
        self._tokenizer = tokenizer
        self._matcher = llguidance.LLMatcher(tokenizer, grammar)
        self._offered: Tensor | None = None
        self._logprobs: list[float] = []
        if self._matcher.get_error():
            raise FatalError(f"the JSON schema cannot be decoded: {self._matcher.get_error()}")

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """``input_ids`` (1, tokens), ``scores`` (1, vocabulary): forbidden tokens get -inf."""
        if self._offered is not None:
            self._take(int(input_ids[0, -1]))
        masked = torch.full_like(scores, float("-inf"))
        allowed = self._allowed(scores)
        masked[0, : allowed.numel()][allowed] = scores[0, : allowed.numel()][allowed]
        self._offered = masked[0]
        return masked

    @property
    def is_finished(self) -> bool:
        """Whether what was taken so far is a whole answer."""
        return bool(self._matcher.is_accepting() or self._matcher.is_stopped())

    def taken(self, ids: list[int]) -> tuple[Token, ...]:
        """The generated tokens with their probabilities among those that were allowed.

        Call it once, after generate, with all the new ids; special tokens such as the end are left
        out.
        """
        if self._offered is not None and len(self._logprobs) < len(ids):
            self._take(ids[-1])
        pairs = zip(ids, self._logprobs, strict=True)
        tokens = [Token(self._tokenizer.decode_bytes([one]), p) for one, p in pairs]
        special = self._tokenizer.is_special_token
        return tuple(t for one, t in zip(ids, tokens, strict=True) if not special(one))

    def _take(self, chosen: int) -> None:
        assert self._offered is not None
        self._logprobs.append(min(0.0, float(self._offered.float().log_softmax(-1)[chosen])))
        if not self._matcher.is_stopped():
            self._matcher.consume_token(chosen)

    def _allowed(self, scores: Tensor) -> Tensor:
        words = torch.frombuffer(bytearray(self._matcher.compute_bitmask()), dtype=torch.int32)
        bits = ((words[:, None] >> _BITS) & 1).bool().reshape(-1)
        return bits[: scores.shape[-1]].to(scores.device)


def with_bounded_decimals(schema: Any) -> Any:
    """The same schema, in which every number is a multiple of a small step."""
    if isinstance(schema, list):
        return [with_bounded_decimals(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: value if key in ("enum", "const", "default") else with_bounded_decimals(value)
        for key, value in schema.items()
    }
    kind = made.get("type")
    if kind == "number" or (isinstance(kind, list) and "number" in kind):
        wide = made.get("maximum", 1.0) - made.get("minimum", 0.0)
        made.setdefault("multipleOf", _STEP if wide >= 100 * _STEP else _FINE_STEP)
    return made


def schema_tokenizer(tokenizer: Any, vocabulary: int) -> llguidance.LLTokenizer:
    """llguidance's view of a Hugging Face tokenizer; build it once per model."""
    return llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary)
