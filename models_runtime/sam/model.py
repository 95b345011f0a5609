"""Loupe-SAM: the ``Sam`` of segment_anything (Kirillov et al. 2023) with a small image encoder.

Prompt encoder, two-way transformer and mask decoder are the package's own. Two things differ from
the published model. The image encoder is a convolutional pyramid with attention on its coarsest
level, and its embedding has stride 8, because defects and nuclei are a few pixels wide. And each
prompt is drawn as a map into the package's mask input as well (box filled, clicks as dots), beside
its tokens: a small model then need not learn from little data where a coordinate lies.

Sizes, with S the input size, E = S/8 and G = S/2:

    photo (B,3,S,S) → ImageEncoder → embedding (B,dim,E,E)
    boxes, clicks → PromptEncoder → tokens (N,T,dim); prompt map (N,1,G,G) → dense (N,dim,E,E)
    embedding, tokens, dense → MaskDecoder → logits (N,3,G,G), predicted IoU (N,3)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models_runtime.sam import compat

STRIDE = 8
CLICK_WEIGHT = 4.0
CLICK_SPREAD = 1.5
"""Height and standard deviation (in cells of the prompt map) of the dot that stands for a click."""


@dataclass(frozen=True, slots=True)
class SamConfig:
    """Shape of the model. ``widths`` are channels at strides 2, 4, 8, 16 and 32."""

    input_size: int = 320
    widths: tuple[int, int, int, int, int] = (24, 48, 96, 160, 224)
    depths: tuple[int, int, int, int] = (1, 2, 3, 1)
    attention_depth: int = 2
    dim: int = 96
    heads: int = 4
    prompt_channels: int = 16
    mlp_dim: int = 384

    @property
    def grid(self) -> int:
        """Side of the low-resolution masks and of the prompt map, in cells."""
        return self.input_size // 2


class Residual(nn.Module):
    """Two 3x3 convolutions around a skip connection; starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.second(F.relu(self.first(F.relu(self.norm(x)))))
        return out


class ChannelNorm(nn.Module):
    """The package's ``LayerNorm2d`` (same parameters and result) by torch's own fused kernel."""

    def __init__(self, slow: Any) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = slow.weight, slow.bias, slow.eps

    def forward(self, x: Tensor) -> Tensor:
        last = x.permute(0, 2, 3, 1)
        normed = F.layer_norm(last, (x.shape[1],), self.weight, self.bias, self.eps)
        return normed.permute(0, 3, 1, 2)


class GlobalAttention(nn.Module):
    """A pre-norm transformer block over the cells of the coarsest level: (B,C,H,W) → same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, width // 32, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, width, rows, columns = x.shape
        cells = x.flatten(2).transpose(1, 2)
        normed = self.norm1(cells)
        cells = cells + self.attention(normed, normed, normed, need_weights=False)[0]
        cells = cells + self.mlp(self.norm2(cells))
        out: Tensor = cells.transpose(1, 2).reshape(batch, width, rows, columns)
        return out


class ImageEncoder(nn.Module):
    """Photo (B,3,S,S), normalised → embedding (B,dim,S/8,S/8).

    Fine levels are folded into the stride-8 grid (space to depth), so that edges survive; coarse
    levels are added from above, so that each cell knows its surroundings.
    """

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        self.img_size = config.input_size
        w2, w4, w8, w16, w32 = config.widths
        d4, d8, d16, d32 = config.depths
        dim = config.dim
        self.to2 = nn.Conv2d(3, w2, 3, stride=2, padding=1)
        self.to4 = _down(w2, w4)
        self.level4 = _blocks(w4, d4)
        self.to8 = _down(w4, w8)
        self.level8 = _blocks(w8, d8)
        self.to16 = _down(w8, w16)
        self.level16 = _blocks(w16, d16)
        self.to32 = _down(w16, w32)
        self.level32 = _blocks(w32, d32)
        self.attend = nn.Sequential(*(GlobalAttention(w32) for _ in range(config.attention_depth)))
        self.from2 = nn.Conv2d(16 * w2, dim, 1)
        self.from4 = nn.Conv2d(4 * w4, dim, 1)
        self.from8 = nn.Conv2d(w8, dim, 1)
        self.from16 = nn.Conv2d(w16, dim, 1)
        self.from32 = nn.Conv2d(w32, dim, 1)
        self.fuse = Residual(dim)
        self.out_norm = nn.GroupNorm(1, dim)

    def forward(self, x: Tensor) -> Tensor:
        x2 = F.relu(self.to2(x))
        x4 = self.level4(self.to4(x2))
        x8 = self.level8(self.to8(x4))
        x16 = self.level16(self.to16(x8))
        x32 = self.attend(self.level32(self.to32(x16)))

        coarse = self.from16(x16) + F.interpolate(self.from32(x32), size=x16.shape[-2:])
        coarse = F.interpolate(coarse, size=x8.shape[-2:], mode="bilinear")
        fine = self.from2(F.pixel_unshuffle(x2, 4)) + self.from4(F.pixel_unshuffle(x4, 2))
        out: Tensor = self.out_norm(self.fuse(self.from8(x8) + coarse + fine))
        return out


def _down(width_in: int, width_out: int) -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.Conv2d(width_in, width_out, 3, stride=2, padding=1))


def _blocks(width: int, depth: int) -> nn.Module:
    return nn.Sequential(*(Residual(width) for _ in range(depth)))


def build(config: SamConfig) -> Any:
    """Return a ``segment_anything`` ``Sam`` with the small encoder and fresh weights."""
    modeling = compat.load().modeling
    side = config.input_size // STRIDE
    sam = modeling.Sam(
        image_encoder=ImageEncoder(config),
        prompt_encoder=modeling.PromptEncoder(
            embed_dim=config.dim,
            image_embedding_size=(side, side),
            input_image_size=(config.input_size, config.input_size),
            mask_in_chans=config.prompt_channels,
            activation=nn.ReLU,
        ),
        mask_decoder=modeling.MaskDecoder(
            num_multimask_outputs=3,
            transformer=modeling.TwoWayTransformer(
                depth=2, embedding_dim=config.dim, mlp_dim=config.mlp_dim, num_heads=config.heads
            ),
            transformer_dim=config.dim,
            activation=nn.ReLU,
            iou_head_depth=3,
            iou_head_hidden_dim=config.dim,
        ),
    )
    upscaling, downscaling = sam.mask_decoder.output_upscaling, sam.prompt_encoder.mask_downscaling
    upscaling[1] = ChannelNorm(upscaling[1])
    downscaling[1] = ChannelNorm(downscaling[1])
    downscaling[4] = ChannelNorm(downscaling[4])
    _spread_frequencies(sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix)
    return sam


def _spread_frequencies(matrix: Tensor) -> None:
    """Scale the random frequencies from 1/2 to 4; the published ones blur small blobs together."""
    scale = torch.logspace(-1, 2, matrix.shape[1], base=2.0)
    with torch.no_grad():
        matrix.mul_(scale)


def set_input_size(sam: Any, size: int) -> None:
    """Let the same weights work on ``size`` px: nothing in them depends on it."""
    side = size // STRIDE
    sam.image_encoder.img_size = size
    sam.prompt_encoder.input_image_size = (size, size)
    sam.prompt_encoder.image_embedding_size = (side, side)
    sam.prompt_encoder.mask_input_size = (4 * side, 4 * side)


def encode(sam: Any, photo: Tensor) -> Tensor:
    """Photo (B,3,h,w) in 0..255 with h, w ≤ S → embedding (B,dim,E,E); padded right and below."""
    normal = (photo - sam.pixel_mean) / sam.pixel_std
    size = sam.image_encoder.img_size
    padded = F.pad(normal, (0, size - photo.shape[-1], 0, size - photo.shape[-2]))
    out: Tensor = sam.image_encoder(padded.contiguous(memory_format=torch.channels_last))
    return out


def decode(
    sam: Any, embedding: Tensor, boxes: Tensor | None, points: Tensor | None, labels: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Embedding (1,dim,E,E) and N prompts → logits (N,3,G,G) and predicted IoU (N,3).

    In input pixels, pixel centres at +0.5: ``boxes`` (N,4), ``points`` (N,K,2) with ``labels``
    (N,K), 1 on the object and 0 off it. All N prompts have the same parts.
    """
    encoder = sam.prompt_encoder
    clicks = None if points is None else (points - 0.5, labels)
    sparse, dense = encoder(
        points=clicks,
        boxes=None if boxes is None else boxes - 0.5,
        masks=prompt_map(
            encoder.mask_input_size[0], encoder.input_image_size[0], boxes, points, labels
        ),
    )
    logits, quality = sam.mask_decoder(
        image_embeddings=embedding,
        image_pe=encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
    )
    return logits, quality


def prompt_map(
    grid: int, input_size: int, boxes: Tensor | None, points: Tensor | None, labels: Tensor | None
) -> Tensor:
    """Draw prompts as (N,1,grid,grid): box +1 in and -1 out, clicks as dots of their sign."""
    scale = grid / input_size
    edges = torch.arange(grid, dtype=torch.float32)
    drawn: Tensor | float = 0.0
    if boxes is not None:
        x1, y1, x2, y2 = (boxes * scale).unbind(1)
        inside = _coverage(edges, y1, y2)[:, :, None] * _coverage(edges, x1, x2)[:, None, :]
        drawn = 2 * inside - 1
    if points is not None and labels is not None:
        spot = points[..., None] * scale - (edges + 0.5)
        bell = torch.exp(-0.5 * (spot / CLICK_SPREAD) ** 2)
        dots = bell[:, :, 1, :, None] * bell[:, :, 0, None, :] * (2 * labels - 1)[..., None, None]
        drawn = drawn + CLICK_WEIGHT * dots.sum(dim=1)
    if not isinstance(drawn, Tensor):
        raise ValueError("a prompt needs a box or at least one click")
    return drawn[:, None]


def _coverage(edges: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Share of each cell [i, i+1) that lies in [start, end): (N, grid)."""
    low = torch.maximum(edges, start[:, None])
    high = torch.minimum(edges + 1, end[:, None])
    return (high - low).clamp(0, 1)
