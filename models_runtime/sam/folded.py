"""segment_anything's mask decoder with the same weights and the same masks, in fewer operations.

The published decoder (Kirillov et al. 2023, appendix A) projects each cell of the image to queries,
keys and values in every attention, although a prompt has only some seven tokens to attend with. The
projections are linear, so they can be moved to the token's side of each product:

    q·(W k + b) = (Wᵀ q)·k + q·b        Σ a (W v + b) = W (Σ a v) + b,   as Σ a = 1

What is left to do for each cell are two products per attention with (heads x tokens) columns. The
image stays in rows of cells (N, cells, dim) throughout, which also makes the upsampling two plain
matrix products. Results differ from the package's by rounding only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MASKS = slice(1, None)
"""Mask tokens that are asked for: the first is for prompts that leave no doubt, and not used."""


class FoldedDecoder:
    """The decoder of one ``Sam``. It keeps nothing between calls: any thread may call it.

    It takes the weights as they are now; build a new one after changing them.
    """

    def __init__(self, sam: Any) -> None:
        decoder, encoder = sam.mask_decoder, sam.prompt_encoder
        with torch.no_grad():
            self._side: tuple[int, int] = encoder.image_embedding_size
            self._place = _rows(encoder.get_dense_pe())
            self._layers = [_Layer(layer) for layer in decoder.transformer.layers]
            self._look = _TokensToImage(decoder.transformer.final_attn_token_to_image)
            self._norm = decoder.transformer.norm_final_attn
            self._asking = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
            self._upscale = _Upscaling(decoder.output_upscaling)
            self._masks = _Heads(list(decoder.output_hypernetworks_mlps)[MASKS])
            self._quality = decoder.iou_prediction_head

    def __call__(self, embedding: Tensor, dense: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding (1,C,E,E), prompts' maps (N or 1, E·E or 1, C) and tokens (N,T,C) → logits
        (N,3,4E,4E) and predicted IoU (N,3)."""
        tokens = torch.cat([self._asking.expand(len(prompts), -1, -1), prompts], dim=1)
        cells = (_rows(embedding) + dense).expand(len(prompts), -1, -1)
        seen = tokens
        for number, layer in enumerate(self._layers):
            seen, cells = layer(seen, cells, tokens, self._place, first=number == 0)
        seen = seen + self._look(seen + tokens, cells + self._place, cells)
        seen = self._norm(seen)
        quality: Tensor = self._quality(seen[:, 0])[:, MASKS]
        weights = self._masks(seen[:, 1 : len(self._asking)][:, MASKS])
        return self._upscale(cells, weights, self._side), quality


class _Layer:
    """A two-way block: tokens among themselves, tokens to image, tokens alone, image to tokens."""

    def __init__(self, layer: Any) -> None:
        self._among = layer.self_attn
        self._look = _TokensToImage(layer.cross_attn_token_to_image)
        self._tell = _ImageToTokens(layer.cross_attn_image_to_token)
        self._mlp = layer.mlp
        self._norms = (layer.norm1, layer.norm2, layer.norm3)
        self._image_norm = layer.norm4

    def __call__(
        self, seen: Tensor, cells: Tensor, tokens: Tensor, place: Tensor, *, first: bool
    ) -> tuple[Tensor, Tensor]:
        asked = seen if first else seen + tokens
        answer = self._among(q=asked, k=asked, v=seen)
        seen = self._norms[0](answer if first else seen + answer)
        placed = cells + place
        seen = self._norms[1](seen + self._look(seen + tokens, placed, cells))
        seen = self._norms[2](seen + self._mlp(seen))
        cells = self._tell(cells, placed, seen + tokens, seen)
        return seen, self._image_norm(cells)


class _TokensToImage:
    """Attention of tokens (N,T,C) to cells (N,P,C); rows are (token, head)."""

    def __init__(self, attention: Any) -> None:
        heads, root = attention.num_heads, _root(attention)
        key, value = (_by_head(p.weight, heads) for p in (attention.k_proj, attention.v_proj))
        query, query_bias = _by_head(attention.q_proj.weight, heads), attention.q_proj.bias
        # The key's bias adds the same to all cells of a row, which the softmax takes away again.
        self._asked = (key.transpose(1, 2) @ query / root).flatten(0, 1)
        self._asked_bias = (query_bias.view(heads, 1, -1) @ key / root).flatten()
        out = attention.out_proj.weight.unflatten(1, (heads, -1)).transpose(0, 1)
        self._answer = (out @ value).transpose(0, 1).flatten(1)
        self._answer_bias = attention.out_proj(attention.v_proj.bias)

    def __call__(self, tokens: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        asked = F.linear(tokens, self._asked, self._asked_bias)
        rows = asked.view(len(asked), -1, keys.shape[2])
        attention = torch.bmm(rows, keys.transpose(1, 2)).softmax(dim=2)
        found = torch.bmm(attention, values).view(asked.shape)
        return F.linear(found, self._answer, self._answer_bias)


class _ImageToTokens:
    """Cells (N,P,C) plus their attention to tokens (N,T,C); rows are (token, head)."""

    def __init__(self, attention: Any) -> None:
        self._heads: int = attention.num_heads
        root = _root(attention)
        query, query_bias = _by_head(attention.q_proj.weight, self._heads), attention.q_proj.bias
        key, key_bias = _by_head(attention.k_proj.weight, self._heads), attention.k_proj.bias
        value, value_bias = attention.v_proj, attention.v_proj.bias.view(self._heads, 1, -1)
        self._asked = (query.transpose(1, 2) @ key / root).flatten(0, 1)
        self._asked_bias = (key_bias.view(self._heads, 1, -1) @ query / root).flatten()
        by_head = query_bias.view(self._heads, 1, -1) / root
        self._offset = (
            (by_head @ key).flatten(1),
            (by_head @ key_bias.view_as(by_head).mT).flatten(),
        )
        out = attention.out_proj.weight.unflatten(1, (self._heads, -1)).transpose(0, 1)
        self._told = (out @ _by_head(value.weight, self._heads)).flatten(0, 1)
        # The shares of a head add up to 1, so each token of it may carry the whole bias.
        share = attention.out_proj.bias / self._heads
        self._told_bias = ((value_bias @ out.mT).flatten(1) + share).flatten()

    def __call__(self, cells: Tensor, placed: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        count, tokens, width = keys.shape
        asked = F.linear(keys, self._asked, self._asked_bias).view(count, -1, width)
        told = F.linear(values, self._told, self._told_bias).view(count, -1, width)
        offset = F.linear(keys, *self._offset).view(count, -1, 1)
        scores = torch.baddbmm(offset, asked, placed.transpose(1, 2))
        shares = scores.view(count, tokens, self._heads, -1).softmax(dim=1).flatten(1, 2)
        return torch.baddbmm(cells, shares.transpose(1, 2), told)


class _Upscaling:
    """The two transposed convolutions of stride 2 as products, and the masks from them.

    Strides equal kernels, so no two cells touch the same place of the finer grid: each of the four
    places within a cell is a product of its own, in channels first, and only the masks at the end
    are sorted into rows and columns.
    """

    def __init__(self, layers: Any) -> None:
        first, norm, act, second, act_last = layers
        self._norm = _ChannelNorm(norm)
        self._first, self._first_bias = _four_places(first, centred=True)
        self._second, self._second_bias = _four_places(second)
        self._act, self._act_last = _in_place(act), _in_place(act_last)

    def __call__(self, cells: Tensor, weights: Tensor, side: tuple[int, int]) -> Tensor:
        """Cells (N,E·E,C) and the masks' weights (N,M,C/8) → logits (N,M,4E,4E)."""
        (rows, columns), count = side, len(cells)
        first = self._first.expand(count, -1, -1)
        middle = torch.baddbmm(self._first_bias, first, cells.transpose(1, 2))
        middle = self._act(self._norm(middle.view(4 * count, -1, rows * columns)))
        second = self._second.expand(4 * count, -1, -1)
        fine = self._act_last(torch.baddbmm(self._second_bias, second, middle))
        places = fine.view(count, 16, -1, rows * columns)
        logits = torch.matmul(weights[:, None], places)
        # y and x within a cell, then within its quarters; masks; rows and columns of cells.
        split = logits.view(count, 2, 2, 2, 2, -1, rows, columns)
        blocks = split.permute(0, 5, 1, 3, 2, 4, 6, 7).contiguous()
        sorted_out = blocks.view(count, -1, 4, 4, rows, columns).permute(0, 1, 4, 2, 5, 3)
        return sorted_out.reshape(count, -1, 4 * rows, 4 * columns)


class FoldedPrompts:
    """The prompt encoder of one ``Sam``: boxes and clicks to tokens, prompt maps to cells."""

    def __init__(self, sam: Any) -> None:
        encoder = sam.prompt_encoder
        self._input_size: tuple[int, int] = encoder.input_image_size
        self._waves = 2 * torch.pi * encoder.pe_layer.positional_encoding_gaussian_matrix
        kinds = [encoder.not_a_point_embed, *encoder.point_embeddings]
        with torch.no_grad():
            self._kinds = torch.cat([kind.weight for kind in kinds])
            self.no_map = encoder.no_mask_embed.weight[:, None]
        first, norm1, act1, second, norm2, act2, last = encoder.mask_downscaling
        self._act1, self._act2 = _in_place(act1), _in_place(act2)
        self._norm1, self._norm2 = _ChannelNorm(norm1), _ChannelNorm(norm2)
        with torch.no_grad():
            self._first, self._second = _centred(first), _centred(second)
        self._last = last.weight.flatten(1), last.bias

    def tokens(self, boxes: Tensor | None, points: Tensor | None, labels: Tensor | None) -> Tensor:
        """Boxes (N,4), points (N,K,2) in input pixels with centres at +0.5, labels (N,K) → (N,T,C).

        Clicks without a box get one token more that says so, as in the package.
        """
        parts: list[Tensor] = []
        if points is not None and labels is not None:
            parts.append(self._placed(points) + self._kinds[labels.long() + 1])
            if boxes is None:
                parts.append(self._kinds[:1].expand(len(points), 1, -1))
        if boxes is not None:
            parts.append(self._placed(boxes.view(-1, 2, 2)) + self._kinds[3:])
        return torch.cat(parts, dim=1)

    def _placed(self, points: Tensor) -> Tensor:
        rows, columns = self._input_size
        phase = (points * points.new_tensor([2 / columns, 2 / rows]) - 1) @ self._waves
        return torch.cat([phase.sin(), phase.cos()], dim=-1)

    def cells(self, prompt_map: Tensor) -> Tensor:
        """Prompt maps (N,1,4E,4E) → what they add to the image's cells (N,E·E,C)."""
        half = F.conv2d(prompt_map, *self._first, stride=2)
        half = self._act1(self._norm1(half.flatten(2))).view(half.shape)
        quarter = F.conv2d(half, *self._second, stride=2).flatten(2)
        known = self._act2(self._norm2(quarter))
        return F.linear(known.transpose(1, 2), *self._last)


class _ChannelNorm:
    """``LayerNorm2d`` over the channels of (N,C,P), of mean 0 already; overwrites them."""

    def __init__(self, norm: Any) -> None:
        self._scale, self._shift = (p.view(-1, 1) for p in (norm.weight, norm.bias))
        self._eps: float = norm.eps

    def __call__(self, x: Tensor) -> Tensor:
        spread = torch.rsqrt(x.square().mean(dim=1, keepdim=True) + self._eps)
        return x.mul_(spread).mul_(self._scale).add_(self._shift)


class _Heads:
    """Small networks of one shape, each for its own token, run as one: (N,M,C) → (N,M,D)."""

    def __init__(self, networks: Sequence[Any]) -> None:
        depth = networks[0].num_layers
        self._weights = [
            torch.stack([n.layers[i].weight.t() for n in networks]) for i in range(depth)
        ]
        self._biases = [
            torch.stack([n.layers[i].bias for n in networks])[:, None] for i in range(depth)
        ]

    def __call__(self, tokens: Tensor) -> Tensor:
        x = tokens.transpose(0, 1)
        for weight, bias in zip(self._weights[:-1], self._biases[:-1], strict=True):
            x = F.relu(torch.baddbmm(bias, x, weight))
        return torch.baddbmm(self._biases[-1], x, self._weights[-1]).transpose(0, 1)


def _rows(channels_first: Tensor) -> Tensor:
    """(N,C,E,E) → (N,E·E,C), laid out by cells."""
    return channels_first.flatten(2).transpose(1, 2).contiguous()


def _by_head(weight: Tensor, heads: int) -> Tensor:
    """A projection (heads·D,C) → (heads,D,C)."""
    return weight.reshape(heads, -1, weight.shape[1])


def _root(attention: Any) -> float:
    return float((attention.internal_dim // attention.num_heads) ** 0.5)


def _four_places(convolution: Any, *, centred: bool = False) -> tuple[Tensor, Tensor]:
    """A transposed convolution, kernel and stride 2, as weight (4·D,C) and bias (4·D,1) of a
    product that gives D channels for each of y, x in (0,0), (0,1), (1,0), (1,1).

    ``centred``: with the mean of the D channels taken off, which a norm would do next.
    """
    weight, bias = convolution.weight.permute(2, 3, 1, 0), convolution.bias
    if centred:
        weight, bias = weight - weight.mean(dim=2, keepdim=True), bias - bias.mean()
    return weight.flatten(0, 2).contiguous(), bias.repeat(4).view(-1, 1)


def _centred(convolution: Any) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution with the mean of its output channels taken off."""
    weight, bias = convolution.weight, convolution.bias
    return weight - weight.mean(dim=0), bias - bias.mean()


def _in_place(activation: nn.Module) -> Callable[[Tensor], Tensor]:
    return F.relu_ if isinstance(activation, nn.ReLU) else activation
