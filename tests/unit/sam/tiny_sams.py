"""SAM 2 and SAM 3 with random weights, a few channels wide, saved like any other checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    Sam2Config,
    Sam2HieraDetConfig,
    Sam2Model,
    Sam2VisionConfig,
    Sam3TrackerConfig,
    Sam3TrackerModel,
    Sam3VisionConfig,
    Sam3ViTConfig,
)

WIDTH = 32
DECODER = {
    "hidden_size": WIDTH, "mlp_dim": 48, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
    "iou_head_depth": 2,
}  # fmt: skip
SIDES = {"sam2": 128, "sam3": 112}
"""Input size; both have a grid of 8 x 8 cells."""


def save_tiny_sam(folder: Path, family: str, seed: int = 3) -> Path:
    """Write model and configuration to a folder; another seed gives other weights."""
    torch.manual_seed(seed)
    model = {"sam2": _sam2, "sam3": _sam3}[family]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return folder


def _sizes() -> list[list[int]]:
    return [[32, 32], [16, 16], [8, 8]]


def _sam2() -> Any:
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[SIDES["sam2"]] * 2,
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 24, 32],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[4, 4, 4, 2],
        global_attention_blocks=[3],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[32, 24, 16, 8],
        backbone_feature_sizes=_sizes(),
        fpn_hidden_size=WIDTH,
    )
    prompts = {"hidden_size": WIDTH, "image_size": SIDES["sam2"], "patch_size": 16}
    return Sam2Model(
        Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=DECODER)
    )


def _sam3() -> Any:
    backbone = Sam3ViTConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDES["sam3"],
        patch_size=14,
        window_size=4,
        global_attn_indexes=[1],
        pretrain_image_size=56,
    )
    vision = Sam3VisionConfig(
        backbone_config=backbone, fpn_hidden_size=WIDTH, backbone_feature_sizes=_sizes()
    )
    prompts = {"hidden_size": WIDTH, "image_size": SIDES["sam3"], "patch_size": 14}
    return Sam3TrackerModel(
        Sam3TrackerConfig(
            vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=DECODER
        )
    )
