"""Loupe-VLM: a small image encoder whose outputs live in the MLM's text space.

A residual network (He et al. 2016) with group normalisation (Wu & He 2018), a feature pyramid
(Lin et al. 2017) for places, and three heads that are only ever read against text vectors, as in
locked-text tuning (Zhai et al. 2022): the text encoder stays as it is, the image side learns it.

- ``meaning``: unit vector of the whole photo, read against options and captions.
- ``evidence``: vector of the whole photo, read against defect words.
- ``places``: map at stride 4, read against defect words: where they apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TEXT_DIM = 384
STRIDE = 4
"""Photo pixels (after resizing) per cell of ``places``."""
COARSE_STRIDE = 8
"""Photo pixels (after resizing) per cell of ``Encoded.coarse``."""
TOP_CELLS = 12
"""How many of the strongest cells speak for the whole photo."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the network; the defaults are what ships, smaller ones serve tests."""

    widths: tuple[int, int, int, int] = (32, 64, 160, 320)
    depths: tuple[int, int, int, int] = (1, 1, 2, 2)
    pyramid: int = 48
    shows: bool = True
    """Has it the head for what a photo shows?"""
    finds: bool = True
    """Has it those for what is wrong, and where?"""
    checks: bool = False
    """Has it one that says whether an instructed state is met, and where it looked?"""


@dataclass(frozen=True, slots=True)
class Encoded:
    """What one pass over photos yields; everything else is read from it against text.

    ``meaning``: (n, 384) unit rows. ``evidence``: (n, 384). ``places``: (n, pyramid, h/4, w/4),
    normalised over channels. ``pooled``: (n, features) for telling the known from the unknown.
    ``coarse``: (n, widths[1] + pyramid, h/8, w/8), texture and meaning of each place, for
    comparison with references.
    """

    meaning: Tensor
    evidence: Tensor
    places: Tensor
    pooled: Tensor
    coarse: Tensor


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut; halves the picture where ``stride`` is 2."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = norm(outputs)
        self.stride = stride
        same = inputs == outputs and stride == 1
        self.shortcut = None if same else nn.Conv2d(inputs, outputs, 1, bias=False)
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        if self.stride == 2:
            x = F.avg_pool2d(x, 2, ceil_mode=True)
        if self.shortcut is not None:
            x = self.shortcut(x)
        return F.relu(x + y)


class Stem(nn.Module):
    """Pixels to features at stride 4."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, outputs // 2, 3, 2, 1, bias=False)
        self.norm1 = norm(outputs // 2)
        self.conv2 = nn.Conv2d(outputs // 2, outputs, 3, 2, 1, bias=False)
        self.norm2 = norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(x)))


class Pyramid(nn.Module):
    """Adds what the deep, coarse maps know to the fine ones, from the top down."""

    def __init__(self, widths: tuple[int, int, int, int], outputs: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, outputs, 1) for width in widths)
        self.smooth = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm = norm(outputs)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the map at stride 4 and the one at stride 8."""
        top = self.lateral[3](maps[3])
        coarse = top
        for level in (2, 1, 0):
            coarse = top
            up = F.interpolate(top, size=maps[level].shape[-2:], mode="nearest")
            top = self.lateral[level](maps[level]) + up
        return F.relu(self.norm(self.smooth(top))), coarse


class CheckHead(nn.Module):
    """Is what a sentence states so on the photo ("two containers are on the workbench")?

    The sentence picks the cells that matter, and what these hold, by it, decides.
    """

    def __init__(self, features: int, width: int = 96) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.cells = nn.Linear(features, width)
        self.where = nn.Linear(TEXT_DIM, width)
        self.asked = nn.Linear(TEXT_DIM, 2 * width)
        self.judge = nn.Sequential(
            nn.LayerNorm(4 * width), nn.Linear(4 * width, width), nn.GELU(), nn.Linear(width, 1)
        )
        self.where_bias = nn.Parameter(torch.tensor(-2.0))

    def forward(self, coarse: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        """Coarse maps (n, features, h, w) and a text vector for each (n, 384).

        Returns logits (n,): is it so? and logits (n, h, w): is this a place that decides it?
        """
        cells = F.gelu(self.cells(self.norm(coarse.permute(0, 2, 3, 1)))).flatten(1, 2)
        dots = torch.einsum("nkc,nc->nk", cells, self.where(texts))
        where = dots / float(cells.shape[-1]) ** 0.5 + self.where_bias
        share = where.sigmoid()[..., None]
        mean = (share * cells).sum(1) / share.sum(1).clamp(min=1e-3)
        seen = torch.cat([mean, (share * cells).amax(1)], 1)
        asked = self.asked(texts)
        state = self.judge(torch.cat([seen * asked, asked], 1))[:, 0]
        return state, where.view(len(where), *coarse.shape[-2:])


class LoupeVLM(nn.Module):
    """The whole network. ``forward`` takes pixels, the ``read_…`` methods take text vectors."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        shape = shape or Shape()
        widths, pyramid = shape.widths, shape.pyramid
        self.stem = Stem(widths[0])
        self.stages = nn.ModuleList(
            _stage(widths[max(0, i - 1)], width, depth, 1 if i == 0 else 2)
            for i, (width, depth) in enumerate(zip(widths, shape.depths, strict=True))
        )
        features = widths[2] + 2 * widths[3]
        if shape.shows:
            self.meaning = _head(features)
            self.choice_scale = nn.Parameter(torch.tensor(3.0))
            self.truth_scale = nn.Parameter(torch.tensor(2.0))
            self.truth_bias = nn.Parameter(torch.tensor(-1.0))
        self._finds = shape.finds
        if shape.finds or shape.checks:
            self.pyramid = Pyramid(widths, pyramid)
        if shape.finds:
            self.evidence = _head(features + pyramid)
            self.place_norm = nn.LayerNorm(pyramid)
            self.place_text = nn.Linear(TEXT_DIM, pyramid, bias=False)
            self.place_scale = nn.Parameter(torch.tensor(2.0))
            self.place_bias = nn.Parameter(torch.tensor(-3.5))
            self.whole = nn.Parameter(torch.tensor([1.0, 1.0, 0.0]))
        if shape.checks:
            self.checks = CheckHead(widths[1] + pyramid)

    def forward(self, pixels: Tensor, meaning: bool = True, places: bool = True) -> Encoded:
        """Encode float (n, 3, h, w) in 0..1; with ``places``, h and w are multiples of 32.

        ``meaning`` and ``places`` say which half is wanted; what belongs to the other is empty. A
        network that ``shape`` gave one half only can be asked for that half only.
        """
        x = self.stem((pixels - 0.5) / 0.25)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        pooled = torch.cat([maps[2].mean((2, 3)), x.mean((2, 3)), x.amax((2, 3))], 1)
        nothing = pixels.new_zeros(0)
        shown = F.normalize(self.meaning(pooled), dim=1) if meaning else nothing
        if not places:
            return Encoded(shown, nothing, nothing, pooled, nothing)
        fine, coarse = self.pyramid(maps)
        textured = torch.cat([maps[1], coarse], 1)
        if not self._finds:
            return Encoded(shown, nothing, nothing, pooled, textured)
        evidence = self.evidence(torch.cat([pooled, fine.amax((2, 3))], 1))
        cells = self.place_norm(fine.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return Encoded(shown, evidence, cells, pooled, textured)

    def read_choice(self, encoded: Encoded, texts: Tensor) -> Tensor:
        """Logits (n, options) of mutually exclusive texts (options, 384)."""
        return self.choice_scale.exp() * encoded.meaning @ texts.T

    def read_truth(self, encoded: Encoded, texts: Tensor) -> Tensor:
        """Logits (n, statements): does each statement hold for the photo?"""
        return self.truth_scale.exp() * encoded.meaning @ texts.T + self.truth_bias

    def read_places(self, encoded: Encoded, texts: Tensor) -> Tensor:
        """Logits (n, texts, h/4, w/4): does each text apply to the place?"""
        keys = F.normalize(self.place_text(texts), dim=1)
        dots = torch.einsum("nchw,tc->nthw", encoded.places, keys)
        scale = self.place_scale.exp() / float(encoded.places.shape[1]) ** 0.5
        return cast(Tensor, scale * dots + self.place_bias)

    def read_defects(self, encoded: Encoded, texts: Tensor, places: Tensor) -> Tensor:
        """Logits (n, texts): is there such a defect anywhere? From evidence and ``places`` logits.

        The evidence vector is used as it is: its length says how much there is to say.
        """
        cells = places.flatten(2)
        strongest = cells.topk(min(TOP_CELLS, cells.shape[-1]), dim=-1).values.mean(-1)
        return (
            self.whole[0] * encoded.evidence @ texts.T + self.whole[1] * strongest + self.whole[2]
        )


@dataclass(frozen=True, slots=True)
class Networks:
    """Networks of one kind: what a photo shows is asked of one, what is wrong with it of another,
    whether an instructed state is met of a third. Each was trained for its own question and holds
    the heads for it alone. ``checks`` is None where nothing is known about instructed states."""

    shows: LoupeVLM
    finds: LoupeVLM
    checks: LoupeVLM | None = None


def load_half(tensors: Mapping[str, Tensor], shape: Shape) -> LoupeVLM:
    """A network for use only, with those of the tensors that its shape calls for."""
    model = LoupeVLM(shape).eval().requires_grad_(False)
    model.load_state_dict({name: tensors[name] for name in model.state_dict()})
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def _head(features: int) -> nn.Sequential:
    """From features of the whole photo to the text space."""
    return nn.Sequential(
        nn.LayerNorm(features),
        nn.Linear(features, TEXT_DIM),
        nn.GELU(),
        nn.Linear(TEXT_DIM, TEXT_DIM),
    )


def norm(channels: int) -> nn.GroupNorm:
    """Group normalisation: no batch statistics, so a batch answers exactly as each photo alone."""
    return nn.GroupNorm(max(1, min(32, channels // 8)), channels)


def _stage(inputs: int, outputs: int, depth: int, stride: int) -> nn.Sequential:
    first = Residual(inputs, outputs, stride)
    return nn.Sequential(first, *(Residual(outputs, outputs, 1) for _ in range(depth - 1)))
