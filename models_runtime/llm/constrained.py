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

_BITS = torch.arange(32, dtype=torch.int32)


class JsonSchemaProcessor(LogitsProcessor):
    """One use only: holds the parser of one generate call of one sequence."""

    def __init__(self, tokenizer: llguidance.LLTokenizer, schema: dict[str, Any]) -> None:
        grammar = llguidance.LLMatcher.grammar_from_json_schema(
            json.dumps(schema), defaults={"whitespace_flexible": False}
        )
        self._matcher = llguidance.LLMatcher(tokenizer, grammar)
        self._first = True
        if self._matcher.get_error():
            raise FatalError(f"the JSON schema cannot be decoded: {self._matcher.get_error()}")

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """``input_ids`` (1, tokens), ``scores`` (1, vocabulary): forbidden tokens get -inf."""
        if not self._first and not self._matcher.is_stopped():
            self._matcher.consume_token(int(input_ids[0, -1]))
        self._first = False
        masked = torch.full_like(scores, float("-inf"))
        allowed = self._allowed(scores)
        masked[0, : allowed.numel()][allowed] = scores[0, : allowed.numel()][allowed]
        return masked

    def _allowed(self, scores: Tensor) -> Tensor:
        words = torch.frombuffer(bytearray(self._matcher.compute_bitmask()), dtype=torch.int32)
        bits = ((words[:, None] >> _BITS) & 1).bool().reshape(-1)
        return bits[: scores.shape[-1]].to(scores.device)


def schema_tokenizer(tokenizer: Any, vocabulary: int) -> llguidance.LLTokenizer:
    """llguidance's view of a Hugging Face tokenizer; build it once per model."""
    return llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary)
