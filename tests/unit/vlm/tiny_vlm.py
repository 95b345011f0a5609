"""A random Idefics3 of two layers with a byte-level tokenizer, saved like any other model."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    PreTrainedTokenizerFast,
)
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

SIDE, PATCH, SCALE = 56, 14, 2
SPECIAL = [
    "<s>", "</s>", "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>",
]  # fmt: skip
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}:{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)


def save_tiny_vlm(folder: Path, seed: int = 3) -> Path:
    """Write model, tokenizer and processor to a folder; another seed gives other weights."""
    vocabulary = _save_processor(folder)
    torch.manual_seed(seed)
    small = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }  # fmt: skip
    text = {
        "model_type": "llama", "vocab_size": len(vocabulary), "num_key_value_heads": 2,
        "max_position_embeddings": 16_384, "bos_token_id": vocabulary["<s>"],
        "eos_token_id": vocabulary["</s>"], "pad_token_id": vocabulary["</s>"],
    }  # fmt: skip
    config = Idefics3Config(
        vision_config={**small, "image_size": SIDE, "patch_size": PATCH},
        text_config={**small, **text},
        scale_factor=SCALE,
        image_token_id=vocabulary["<image>"],
        pad_token_id=vocabulary["</s>"],
    )
    Idefics3ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def _save_processor(folder: Path) -> dict[str, int]:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: n for n, token in enumerate([*alphabet, *SPECIAL])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        additional_special_tokens=SPECIAL[2:],
    )
    edge = {"longest_edge": SIDE}
    images = Idefics3ImageProcessorPil(size=edge, max_image_size=edge, do_image_splitting=False)
    tokens = (SIDE // PATCH) ** 2 // SCALE**2
    Idefics3Processor(images, fast, image_seq_len=tokens, chat_template=TEMPLATE).save_pretrained(
        folder
    )
    return vocabulary
