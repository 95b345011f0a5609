"""Golden photos of a plan: what a sound unit looks like, as something to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from inspection.models import GoldenPhoto, Run
from inspection.pipeline.photos import decode
from inspection.pipeline.runtime import runtime
from models_runtime.contracts import Comparison, Extraction, Value

if TYPE_CHECKING:
    from models_runtime.inspector import Comparer

WORKING_PIXELS = 1_000_000


@dataclass(frozen=True, slots=True)
class GoldenRef:
    """A golden photo as a value; ``key`` is where its bytes are stored."""

    sha256: str
    key: str


class Doubt(Value):
    """What triage takes of one photo: the extractor's doubts, and those of the golden photos."""

    defect_probability: float
    in_domain: float
    abstained: bool
    reasons: tuple[str, ...] = ()


def golden_photos(run: Run) -> tuple[GoldenRef, ...]:
    """The golden photos of the run's plan."""
    rows = GoldenPhoto.objects.filter(site=run.site_id, plan=run.inspection.plan_id).order_by("pk")
    return tuple(GoldenRef(*told) for told in rows.values_list("sha256", "image_key"))


@lru_cache(maxsize=8)
def comparer(golden: tuple[GoldenRef, ...]) -> Comparer | None:
    """What knows these golden photos, learnt once per worker; None where they are too few."""
    from models_runtime.compare.golden import FEWEST, GoldenMemory
    from models_runtime.compare.patches import seen_by
    from models_runtime.scaling import WorkingCopy

    if len(golden) < FEWEST:
        return None
    photos = (decode(ref.key).photo for ref in golden)
    small = [WorkingCopy.of(photo, WORKING_PIXELS).photo for photo in photos]
    return GoldenMemory.learn(small, *seen_by(runtime().extractors()[0].load()))


def doubt(extraction: Extraction, comparison: Comparison | None) -> Doubt:
    """Golden photos answer where the extractor can't, unless they show something quite else."""
    from models_runtime.whole import UNLIKE_SHARE, combined_probability

    if comparison is None:
        return Doubt(
            defect_probability=extraction.defect_probability,
            in_domain=extraction.in_domain,
            abstained=extraction.abstained,
            reasons=extraction.reasons if extraction.abstained else (),
        )
    unlike = float((comparison.heat > 1).mean())
    abstained = extraction.abstained and unlike > UNLIKE_SHARE
    words = f"{unlike:.0%} of the photo differs from the golden photos: is it the same view?"
    return Doubt(
        defect_probability=combined_probability(extraction, comparison),
        in_domain=extraction.in_domain if abstained else 1.0,
        abstained=abstained,
        reasons=(*extraction.reasons, words) if abstained else (),
    )
