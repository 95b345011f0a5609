"""segment_anything's image encoder with the same weights and result, faster on a processor.

The published forward pass (Kirillov et al. 2023; ViTDet, Li et al. 2022) writes the whole attention
map of each block, 12 x 4096 x 4096 numbers in vit_b, and goes over it five times: scores, two
relative position terms, softmax, values. Most of its time is memory traffic. Here torch's fused
attention takes some rows of the image at a time, with their position terms (two small tables, added
as the mask of that call) made just before, so that everything stays in the cache. Windows are
padded after the projection instead of before it, where padding is only the projection's bias.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models_runtime.sam import compat

PIECE_BYTES = 4 * 2**20
"""Position terms of one call of the fused attention: small enough for a last-level cache."""


class FusedEncoder:
    """The image encoder of one ``Sam``: photo (1,3,S,S), normalised → (1,C,S/16,S/16).

    It takes the weights as they are now, and keeps nothing between calls: any thread may call it.
    """

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self._attention = [_attention(block, encoder) for block in encoder.blocks]

    def __call__(self, photo: Tensor) -> Tensor:
        x: Tensor = self._encoder.patch_embed(photo)[0]
        if self._encoder.pos_embed is not None:
            x = x + self._encoder.pos_embed[0]
        for block, attention in zip(self._encoder.blocks, self._attention, strict=True):
            x = x + attention(block.norm1(x))
            x = x + block.mlp(block.norm2(x))
        out: Tensor = self._encoder.neck(x.permute(2, 0, 1)[None])
        return out


class _Attention:
    """Attention among all cells of a field (rows, columns, C) with relative positions."""

    def __init__(self, attention: Any, side: tuple[int, int]) -> None:
        self._qkv, self._proj = attention.qkv, attention.proj
        self._heads: int = attention.num_heads
        self._rows = self._columns = None
        if attention.use_rel_pos:
            with torch.no_grad():
                self._rows = _positions(side[0], attention.rel_pos_h)
                self._columns = _positions(side[1], attention.rel_pos_w)

    def __call__(self, x: Tensor) -> Tensor:
        out: Tensor = self._proj(self._attend(self._qkv(x)))
        return out

    def _attend(self, projected: Tensor) -> Tensor:
        """Queries, keys and values (rows, columns, 3·C) → (rows, columns, C)."""
        rows, columns = projected.shape[:2]
        split = projected.reshape(rows * columns, 3, self._heads, -1)
        # Laid out by heads: the fused attention reads keys and values many times over.
        query, key, value = split.permute(1, 2, 0, 3).contiguous().unbind(0)
        out = projected.new_empty(rows, columns, self._heads, query.shape[2])
        by_row, by_column = self._terms(query.reshape(self._heads, rows, columns, -1))
        heads, step = self._piece(rows, columns, projected)
        for first in range(0, self._heads, heads):
            some = slice(first, first + heads)
            for top in range(0, rows, step):
                part = slice(top, min(top + step, rows))
                asked = query[some, part.start * columns : part.stop * columns]
                mask = _mask(by_row, by_column, some, part)
                found = F.scaled_dot_product_attention(
                    asked[None], key[None, some], value[None, some], attn_mask=mask
                )
                out[part, :, some] = (
                    found[0].transpose(0, 1).reshape(-1, columns, *found.shape[1::2])
                )
        return out.flatten(2)

    def _terms(self, query: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Queries (heads, rows, columns, D) → position terms (heads, rows, columns, rows) and
        (heads, rows, columns, columns)."""
        if self._rows is None or self._columns is None:
            return None, None
        by_column = query.transpose(1, 2).contiguous() @ self._columns
        return query @ self._rows, by_column.transpose(1, 2)

    def _piece(self, rows: int, columns: int, like: Tensor) -> tuple[int, int]:
        """How many heads and rows go into one call: a head for each thread, rows as they fit."""
        heads = min(self._heads, max(1, torch.get_num_threads()))
        row_bytes = heads * columns * rows * columns * like.element_size()
        if row_bytes * rows * self._heads <= heads * PIECE_BYTES:
            return self._heads, rows
        return heads, max(1, min(rows, PIECE_BYTES // row_bytes))


class _WindowAttention(_Attention):
    """The same within windows of a field, which is padded right and below to whole windows."""

    def __init__(self, attention: Any, window: int) -> None:
        super().__init__(attention, (window, window))
        self._window = window

    def __call__(self, x: Tensor) -> Tensor:
        rows, columns, side = x.shape[0], x.shape[1], self._window
        tall, wide = (-(-n // side) * side for n in (rows, columns))
        projected = self._qkv(x)
        # The package pads with zeros before the projection, which makes its bias of them.
        field = self._padding(projected).repeat(tall, wide, 1)
        field[:rows, :columns] = projected
        out = x.new_empty(tall, wide, x.shape[2])
        for top in range(0, tall, side):
            for left in range(0, wide, side):
                window = slice(top, top + side), slice(left, left + side)
                out[window] = self._attend(field[window])
        result: Tensor = self._proj(out[:rows, :columns])
        return result

    def _padding(self, projected: Tensor) -> Tensor:
        bias = self._qkv.bias
        return projected.new_zeros(projected.shape[2]) if bias is None else bias.detach()


def _attention(block: Any, encoder: Any) -> _Attention:
    if block.window_size > 0:
        return _WindowAttention(block.attn, block.window_size)
    side = encoder.img_size // encoder.patch_embed.proj.kernel_size[0]
    return _Attention(block.attn, (side, side))


def _positions(side: int, table: Tensor) -> Tensor:
    """What a query at each of ``side`` places (side, D, side) weighs each place of a key by."""
    rel_pos: Tensor = compat.load().modeling.image_encoder.get_rel_pos(side, side, table)
    return rel_pos.transpose(1, 2).contiguous()


def _mask(
    by_row: Tensor | None, by_column: Tensor | None, heads: slice, rows: slice
) -> Tensor | None:
    """The position terms (1, heads, queries, keys) of some heads and rows."""
    if by_row is None or by_column is None:
        return None
    terms = by_row[heads, rows, :, :, None] + by_column[heads, rows, :, None, :]
    return terms.flatten(3).flatten(1, 2)[None]
