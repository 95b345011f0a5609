"""The embedded VLM engine: one pass of Loupe-VLM per photo answers the whole plan.

``embedded:`` takes the weights that ship with the package, ``embedded:/path/weights.safetensors``
others. Answers are built from the plan itself, so they fit its schema by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models_runtime.contracts import (
    Architecture,
    AttributeResult,
    Box,
    DefectCandidate,
    EngineRef,
    Extraction,
    PhotoPixels,
    TextEmbedder,
)
from models_runtime.mlm.minilm import load as load_minilm
from models_runtime.plans import DefectType, PlanSpec
from models_runtime.registry import EngineSpec
from models_runtime.vlm import familiar, weights, words
from models_runtime.vlm.attributes import (
    AttributeReader,
    Evidence,
    abstain,
    judged,
    of_domain,
    sigmoid,
)
from models_runtime.vlm.boxes import Region, overlap, regions, strongest
from models_runtime.vlm.checking import DOMAIN as CHECKED_DOMAIN
from models_runtime.vlm.checking import Checked, check_states, unmet
from models_runtime.vlm.encodings import Encodings, single
from models_runtime.vlm.known import Fit, Kind, fit, kinds
from models_runtime.vlm.looks import as_tensor, outlined, shown
from models_runtime.vlm.model import Encoded, Networks
from models_runtime.vlm.outline import OutlineHead, both
from models_runtime.vlm.plan_texts import TextCache, defect_vectors, plausible_domains
from models_runtime.vlm.weights import Fitted

BATCH = 8
MOST_DEFECTS = 20
SAME_PLACE = 0.6
"""Two types in one place: above this overlap only the likelier one stays."""
GUESS_FROM = 0.5
"""A defect at least this likely gets its strongest place as box, where none stood out."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Numbers behind an extraction, before any decision: what evaluation looks at.

    ``whole``: logit per defect type of the plan. ``places``: logits (types, rows, columns). A plan
    without a catalogue is read as if it had one entry, "defect".
    """

    kind: Kind
    whole: NDArray[np.float32]
    places: NDArray[np.float32]
    defect_probability: float


class EmbeddedVLM:
    """Extractor over Loupe-VLM. Of photos it keeps only what the last ones look like; threads may
    share one."""

    def __init__(
        self,
        networks: Networks,
        memory: familiar.Memory,
        fitted: Fitted,
        version: str,
        embedder: TextEmbedder,
        outline: OutlineHead | None = None,
    ) -> None:
        self._networks, self._memory, self._fitted = networks, memory, fitted
        self._outline = outline
        self._cache = TextCache(embedder)
        self._encodings = Encodings()
        self._ref = EngineRef(
            architecture=Architecture.VLM, engine="loupe-vlm", version=f"loupe-vlm-{version}"
        )

    @property
    def ref(self) -> EngineRef:
        return self._ref

    def extract(self, photos: Sequence[PhotoPixels], plan: PlanSpec) -> list[Extraction]:
        """One extraction per photo, in order."""
        reader = AttributeReader(self._networks, self._fitted, self._cache, plan)
        plausible = plausible_domains(self._cache, plan)
        made = []
        for photo, one, read in self._encode(photos, plan):
            judgement = fit(read.kind, plausible, self._fitted)
            if judgement.reasons:
                made.append(_not_sure(plan, one, judgement))
            else:
                made.append(self._answer(photo, plan, reader, one, read, judgement))
        return made

    def readings(self, photos: Sequence[PhotoPixels], plan: PlanSpec) -> list[Readings]:
        """The numbers behind ``extract``, for evaluation and calibration."""
        return [read for _, _, read in self._encode(photos, plan)]

    def looks(self, photos: Sequence[PhotoPixels]) -> Tensor:
        """What the memory of known kinds judges photos by: float32 (photos, features)."""
        with torch.inference_mode():
            rows = [self._look([photo]).pooled for photo in photos]
        return torch.cat(rows)

    def features(self, photo: PhotoPixels) -> NDArray[np.float32]:
        """Float32 (channels, rows, columns): texture and meaning of each place of the photo.

        The grid lies over the whole photo, whatever its shape.
        """
        encoded = self._encodings.known(photo)
        if encoded is None:
            with torch.inference_mode():
                pixels = as_tensor([photo.pixels], self._fitted.side)
                encoded = self._networks.finds(pixels, meaning=False)
        return np.asarray(encoded.coarse[0].float().numpy(), dtype=np.float32)

    def evidence(self, photo: PhotoPixels) -> NDArray[np.float32]:
        """Float32 (384,): what on the photo speaks for a defect of any kind, not read against
        words. Corrections that a site learns lean on it."""
        with torch.inference_mode():
            encoded = self._encodings.of([photo], self._look)
        return np.asarray(encoded.evidence[0].float().numpy(), dtype=np.float32)

    def _encode(
        self, photos: Sequence[PhotoPixels], plan: PlanSpec
    ) -> list[tuple[PhotoPixels, Encoded, Readings]]:
        rows = torch.from_numpy(
            defect_vectors(self._cache, plan.defects)
            if plan.defects
            else self._cache.mean(words.ANY_DEFECT)[None]
        )
        made = []
        for start in range(0, len(photos), BATCH):
            batch = photos[start : start + BATCH]
            with torch.inference_mode():
                encoded = self._encodings.of(batch, self._look)
                seen = kinds(self._networks.shows, self._memory, self._fitted, self._cache, encoded)
                for number, photo in enumerate(batch):
                    one = single(encoded, number)
                    made.append((photo, one, self._read(one, rows, seen[number])))
        return made

    def _look(self, photos: Sequence[PhotoPixels]) -> Encoded:
        """At two scales: small for what is shown, large for what is wrong with it."""
        pixels = [photo.pixels for photo in photos]
        meaning = shown(self._networks.shows, pixels, self._fitted.meaning_side)
        large: Encoded = self._networks.finds(as_tensor(pixels, self._fitted.side), meaning=False)
        if self._outline is not None:
            outline = outlined(self._outline, pixels)
            meaning = both(meaning, outline, self._fitted.outline_share)
        return replace(large, meaning=meaning, pooled=familiar.features(pixels, large.pooled))

    def _read(self, one: Encoded, rows: Tensor, kind: Kind) -> Readings:
        places = self._networks.finds.read_places(one, rows)
        whole = self._networks.finds.read_defects(one, rows, places)
        slope, offset = of_domain(self._fitted.anything, kind.domain)
        anything = float(whole.logsumexp(1))
        return Readings(
            kind, whole[0].numpy(), places[0].numpy(), sigmoid(slope * anything + offset)
        )

    def _answer(
        self,
        photo: PhotoPixels,
        plan: PlanSpec,
        reader: AttributeReader,
        one: Encoded,
        read: Readings,
        judgement: Fit,
    ) -> Extraction:
        domain = read.kind.domain
        checked = self._checked(photo, plan, domain)
        found = [] if checked else self._defects(photo, plan, read)
        chance = read.defect_probability
        if checked:
            chance = 1 - min(each.chance for each in checked.values())
        share = sum(region.share * c.confidence for c, region in found)
        met = {key: each.chance for key, each in checked.items()}
        attributes = tuple(reader.read(one, domain, Evidence(chance, share, judged(domain), met)))
        defects = (*(candidate for candidate, _ in found), *unmet(checked, plan, self._cache))
        return Extraction(
            attributes=attributes,
            defects=defects[:MOST_DEFECTS],
            defect_probability=chance if plan.defects else 0.0,
            in_domain=judgement.in_domain,
            confidence=_confidence(attributes, chance, bool(plan.defects)),
            abstained=False,
            embedding=_embedding(one),
        )

    def _checked(self, photo: PhotoPixels, plan: PlanSpec, domain: str) -> dict[str, Checked]:
        """Whether instructed states are met, where the photo shows a station."""
        checks = self._networks.checks
        if domain != CHECKED_DOMAIN or checks is None:
            return {}
        return check_states(checks, self._fitted, self._cache, plan, photo)

    def _defects(
        self, photo: PhotoPixels, plan: PlanSpec, read: Readings
    ) -> list[tuple[DefectCandidate, Region]]:
        """Boxes of all types, likeliest first, one type per place."""
        size = (photo.height, photo.width)
        found: list[tuple[DefectCandidate, Region]] = []
        for number, defect in enumerate(plan.defects):
            found += self._places_of(defect, number, read, size)
        found.sort(key=lambda pair: -pair[0].confidence)
        kept: list[tuple[DefectCandidate, Region]] = []
        for pair in found:
            if all(overlap(pair[0].box, other.box) < SAME_PLACE for other, _ in kept):
                kept.append(pair)
        return kept[:MOST_DEFECTS]

    def _places_of(
        self, defect: DefectType, number: int, read: Readings, size: tuple[int, int]
    ) -> list[tuple[DefectCandidate, Region]]:
        domain, whole = read.kind.domain, float(read.whole[number])
        cut = of_domain(self._fitted.cell_threshold, domain)
        places = regions(read.places[number], cut, size)
        slope, offset = of_domain(self._fitted.one_type, domain)
        likely = sigmoid(slope * whole + offset)
        if not places and likely >= GUESS_FROM:
            guess = strongest(read.places[number], size)
            places = [guess] if guess else []
        weights_ = of_domain(self._fitted.box, domain)
        least = of_domain(self._fitted.least_box, domain)
        return [
            (_candidate(defect, place, chance), place)
            for place in places
            if (chance := box_chance(weights_, place, whole)) >= least
        ]


def load(spec: EngineSpec) -> EmbeddedVLM:
    """Load the weights named by the setting, or those that ship; FatalError where missing."""
    path = Path(spec.target) if spec.target else weights.FOLDER / f"{weights.NAME}.safetensors"
    read = weights.load(path)
    minilm = load_minilm(EngineSpec("embedded"))
    return EmbeddedVLM(read.networks, read.memory, read.fitted, read.version, minilm, read.outline)


def box_chance(
    box_weights: tuple[float, float, float, float], region: Region, whole: float
) -> float:
    """Calibrated chance that a box is a true finding, from its peak, its photo and its area."""
    peak, photo, area, offset = box_weights
    return sigmoid(peak * region.peak + photo * whole + area * np.log(region.share) + offset)


def _candidate(defect: DefectType, place: Region, chance: float) -> DefectCandidate:
    box = Box(x1=place.box.x1, y1=place.box.y1, x2=place.box.x2, y2=place.box.y2)
    return DefectCandidate(type=defect.key, box=box, confidence=chance, severity=defect.severity)


def _not_sure(plan: PlanSpec, one: Encoded, judgement: Fit) -> Extraction:
    return Extraction(
        attributes=tuple(abstain(c) for c in plan.characteristics),
        defects=(),
        defect_probability=0.5 if plan.defects else 0.0,
        in_domain=judgement.in_domain,
        confidence=0.0,
        abstained=True,
        reasons=judgement.reasons,
        embedding=_embedding(one),
    )


def _confidence(
    attributes: tuple[AttributeResult, ...], defect_probability: float, asked: bool
) -> float:
    """As sure as the least sure of what was asked: the state, and the answers on average."""
    answered = [a.confidence for a in attributes if not a.abstained]
    parts = [float(np.mean(answered))] if answered else []
    if asked:
        parts.append(max(defect_probability, 1 - defect_probability))
    return min(parts, default=0.0)


def _embedding(one: Encoded) -> tuple[float, ...]:
    return tuple(round(float(v), 6) for v in one.meaning[0])
