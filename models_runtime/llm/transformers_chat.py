"""Reports by a chat model in this process: ``transformers:/path?device=cuda``.

Decoding is constrained to the answer's JSON schema, so even a weak model answers in shape; what it
says is checked like anyone's.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessorList

from models_runtime.contracts import Architecture, EngineRef, Report, ReportInput
from models_runtime.errors import FatalError, InputError
from models_runtime.llm import draft
from models_runtime.llm.constrained import JsonSchemaProcessor, schema_tokenizer
from models_runtime.mlm.minilm import weights_version
from models_runtime.openai_client import Message
from models_runtime.registry import EngineSpec

MOST_TOKENS = 900


class TransformersWriter:
    """A ReportWriter over a causal language model. One generation at a time, others wait."""

    def __init__(self, source: str, device: str, dtype: str, most_tokens: int) -> None:
        self._tokenizer: Any = AutoTokenizer.from_pretrained(source)
        self._model = _frozen(source, device, dtype)
        self._device = device
        self._most_tokens = most_tokens
        self._schema_tokenizer = schema_tokenizer(
            self._tokenizer, int(self._model.config.vocab_size)
        )
        self._name = Path(source).name
        self._lock = threading.Lock()
        version = weights_version(Path(source)) if Path(source).is_dir() else source
        self._ref = EngineRef(
            architecture=Architecture.LLM,
            engine=f"transformers:{self._name}",
            version=f"{version}-prompt-{draft.PROMPT_VERSION}",
        )

    @property
    def ref(self) -> EngineRef:
        return self._ref

    def write(self, evidence: ReportInput) -> Report:
        """Generate and check each sentence; InputError where the evidence is too long for it."""
        processor = JsonSchemaProcessor(self._schema_tokenizer, draft.schema(evidence))
        with self._lock:
            answer = self._generate(draft.messages(evidence), processor)
        return draft.from_answer(answer, evidence, self._name)

    @torch.inference_mode()
    def _generate(self, messages: list[Message], processor: JsonSchemaProcessor) -> str:
        ids = self._prompt(messages)
        output = self._model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=self._most_tokens,
            do_sample=False,
            logits_processor=LogitsProcessorList([processor]),
            pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id,
        )
        return str(self._tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True))

    def _prompt(self, messages: list[Message]) -> torch.Tensor:
        """Token ids (1, tokens): by the model's chat template, or plain text where it has none."""
        if self._tokenizer.chat_template:
            text = self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        else:
            text = "\n\n".join(str(message["content"]) for message in messages) + "\n\n"
        encoded = self._tokenizer(text, return_tensors="pt", add_special_tokens=False)
        ids: torch.Tensor = encoded["input_ids"].to(self._device)
        room = int(getattr(self._model.config, "max_position_embeddings", 1 << 20))
        if ids.shape[1] + self._most_tokens > room:
            raise InputError(
                f"{ids.shape[1]} tokens of evidence do not fit {self._name}, which has room for "
                f"{room} with the answer: configure a model with a longer context"
            )
        return ids


def _frozen(source: str, device: str, dtype: str) -> Any:
    model: Any = AutoModelForCausalLM.from_pretrained(source, dtype=dtype)
    model.requires_grad_(False)
    model.train(False)
    return model.to(torch.device(device))


def load(spec: EngineSpec) -> TransformersWriter:
    """Load ``transformers:PATH?device=cpu&dtype=auto&tokens=900``; FatalError where it fails."""
    if not spec.target:
        raise FatalError("no model named: write transformers:/path/to/model")
    try:
        return TransformersWriter(
            spec.target,
            spec.options.get("device", "cpu"),
            spec.options.get("dtype", "auto"),
            int(spec.options.get("tokens", MOST_TOKENS)),
        )
    except (OSError, ValueError) as error:
        raise FatalError(f"cannot load the language model {spec.target!r}: {error}") from error
