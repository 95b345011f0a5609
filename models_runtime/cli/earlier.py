"""``--earlier PHOTO``: an earlier photo of the same asset, or a template it was made after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models_runtime.cli.problems import CallError
from models_runtime.cli.taking import printable
from models_runtime.compare.earlier import SMALLEST, EarlierPhoto, is_large_enough
from models_runtime.contracts import PhotoPixels
from models_runtime.errors import InputError
from models_runtime.inspector import extract_photo, segment_findings
from models_runtime.intake.decode import decode_photo
from models_runtime.plans import PlanSpec
from models_runtime.runtime import Runtime
from models_runtime.schema import EarlierRecord
from models_runtime.whole import Inspected


@dataclass
class Earlier:
    """The earlier photo of a call. What its models find on it is asked once for each plan."""

    path: Path
    photo: PhotoPixels
    known: dict[str, EarlierPhoto]

    def by(self, runtime: Runtime, plan: PlanSpec) -> EarlierPhoto:
        """The photo with its findings by this plan."""
        if plan.name not in self.known:
            said = extract_photo(runtime, self.photo, plan).value
            found = segment_findings(runtime, self.photo, said.defects, plan).value
            self.known[plan.name] = EarlierPhoto(self.photo, found)
        return self.known[plan.name]

    def record(self, inspected: Inspected) -> EarlierRecord:
        """What is printed of the comparison with it."""
        change = inspected.change
        return EarlierRecord(
            path=printable(self.path),
            sha256=self.photo.sha256,
            likeness=change.registration.likeness if change else None,
            changed_share=float((change.heat > 1).mean()) if change else None,
        )


def earlier_from(path: Path) -> Earlier:
    """Read the photo; CallError where it can't be used."""
    if not path.is_file():
        raise CallError(f"--earlier {path} is not a file. Name a photo of the same asset.")
    try:
        photo = decode_photo(path).photo
    except InputError as error:
        raise CallError(f"--earlier {path}: {error}") from None
    if not is_large_enough(photo):
        raise CallError(
            f"--earlier {path} is {photo.width} by {photo.height} px; "
            f"it needs {SMALLEST} px each way to be compared."
        )
    return Earlier(path, photo, {})
