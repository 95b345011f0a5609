import json

import jsonschema
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from models_runtime.errors import FatalError, InputError
from models_runtime.llm import draft
from models_runtime.llm.constrained import JsonSchemaProcessor
from models_runtime.llm.transformers_chat import load
from models_runtime.registry import EngineSpec


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """A random two-layer Llama with a byte-level tokenizer, saved like any other model."""
    folder = tmp_path_factory.mktemp("tiny-llama")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: n for n, token in enumerate([*alphabet, "<s>", "</s>"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=8192,
        bos_token_id=vocabulary["<s>"],
        eos_token_id=vocabulary["</s>"],
        pad_token_id=vocabulary["</s>"],
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def writer(tiny_model):
    return load(EngineSpec.parse(f"transformers:{tiny_model}?device=cpu&tokens=60"))


def test_a_model_that_babbles_still_gives_a_true_report(writer, evidence):
    report = writer.write(evidence)
    assert any("Disposition: rework" in claim.text for claim in report.claims)
    assert all(claim.replaced for claim in report.claims)


def test_the_engine_is_named_after_its_folder_and_its_weights(writer, tiny_model):
    assert writer.ref.engine == f"transformers:{tiny_model.name}"
    assert len(writer.ref.version.split("-")[0]) == 12


def test_decoding_to_the_end_gives_json_of_the_schema(writer):
    schema = {
        "type": "object",
        "properties": {
            "text": {"type": "string", "maxLength": 6},
            "evidence": {"type": "array", "items": {"enum": ["photo", "triage"]}, "maxItems": 2},
        },
        "required": ["text", "evidence"],
        "additionalProperties": False,
    }
    processor = JsonSchemaProcessor(writer._schema_tokenizer, schema)
    answer = writer._generate([{"role": "user", "content": "hello"}], processor)
    jsonschema.validate(json.loads(answer), schema)


def test_a_schema_that_cannot_be_decoded_is_refused(writer):
    with pytest.raises(FatalError, match="schema"):
        JsonSchemaProcessor(writer._schema_tokenizer, {"type": "no such type"})


def test_evidence_longer_than_the_models_context_says_so(writer, evidence):
    long = [{"role": "user", "content": "x" * 9000}]
    processor = JsonSchemaProcessor(writer._schema_tokenizer, draft.schema(evidence))
    with pytest.raises(InputError, match="longer context"):
        writer._generate(long, processor)


def test_a_folder_without_a_model_is_a_fatal_error(tmp_path):
    with pytest.raises(FatalError, match="cannot load"):
        load(EngineSpec.parse(f"transformers:{tmp_path}"))
