"""The network: a two-layer text encoder for notes and a small head for whole cases.

Token embeddings start as MiniLM's own, reduced by PCA, so that words never seen in training still
mean something; the encoder is taught MiniLM's sentence space first (distillation, Hinton et al.
2015) and the four levels of concern on top of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models_runtime.slm import features

CONCERNS: tuple[str, ...] = ("settled", "routine", "defect", "danger")
"""What a note says, from best to worst; see the model card for what each was trained on."""
SEVERITIES: tuple[str, ...] = ("none", "minor", "major", "critical")
PAD = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the network, stored beside the weights."""

    vocabulary: int = 30522
    embedding: int = 64
    width: int = 128
    heads: int = 4
    layers: int = 2
    feed_forward: int = 384
    tokens: int = 64
    teacher: int = 384
    case_width: int = 64

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Block(nn.Module):
    """Pre-norm transformer block over (batch, tokens, width)."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.heads = shape.heads
        self.norm_attention = nn.LayerNorm(shape.width)
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.norm_feed = nn.LayerNorm(shape.width)
        self.expand = nn.Linear(shape.width, shape.feed_forward)
        self.contract = nn.Linear(shape.feed_forward, shape.width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        """``keep``: bool (batch, 1, 1, tokens), True where there is a token."""
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(batch, tokens, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=keep)
        x = x + self.drop(self.out(mixed.transpose(1, 2).reshape(batch, tokens, width)))
        out: Tensor = x + self.drop(self.contract(F.gelu(self.expand(self.norm_feed(x)))))
        return out


class TriageNet(nn.Module):
    """Note tokens to concern, case features to worst severity."""

    def __init__(self, shape: Shape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.tokens = nn.Embedding(shape.vocabulary, shape.embedding, padding_idx=PAD)
        self.widen = nn.Linear(shape.embedding, shape.width)
        self.places = nn.Parameter(torch.zeros(shape.tokens, shape.width))
        self.blocks = nn.ModuleList(Block(shape, dropout) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.drop = nn.Dropout(dropout)
        self.meaning = nn.Linear(shape.width, shape.teacher)
        self.concern = nn.Linear(shape.width, len(CONCERNS))
        self.case = nn.Sequential(
            nn.Linear(features.SIZE, shape.case_width),
            nn.GELU(),
            nn.Linear(shape.case_width, shape.case_width),
            nn.GELU(),
            nn.Linear(shape.case_width, len(SEVERITIES)),
        )

    def encode(self, ids: Tensor) -> Tensor:
        """Token ids int64 (batch, tokens), padded with PAD, to float (batch, width)."""
        keep = ids != PAD
        x = self.widen(self.tokens(ids)) + self.places[: ids.shape[1]]
        for block in self.blocks:
            x = block(x, keep[:, None, None, :])
        weight = keep.unsqueeze(-1).to(x.dtype)
        pooled: Tensor = (self.norm(x) * weight).sum(1) / weight.sum(1).clamp(min=1.0)
        return pooled

    def concern_logits(self, ids: Tensor) -> Tensor:
        """(batch, 4) logits in the order of CONCERNS."""
        logits: Tensor = self.concern(self.drop(self.encode(ids)))
        return logits

    def severity_logits(self, rows: Tensor) -> Tensor:
        """Feature rows (batch, features.SIZE) to (batch, 4) logits in the order of SEVERITIES."""
        logits: Tensor = self.case(rows)
        return logits


def pad(rows: Sequence[Sequence[int]]) -> Tensor:
    """Pad token rows to the longest with PAD: int64 (rows, longest), at least one column."""
    width = max(1, max((len(row) for row in rows), default=1))
    return torch.tensor([[*row, *([PAD] * (width - len(row)))] for row in rows], dtype=torch.int64)
