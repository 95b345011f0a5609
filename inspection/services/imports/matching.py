"""Which photo of the site each photo of a file is, and what becomes of each annotation.

Decided in this order: the id that an export of Loupe wrote into the file or into the photo's name,
the bytes of the photo in the zip, its name. A photo in the zip that the site does not have becomes
a unit of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from inspection.models import (
    Finding,
    GoldUnit,
    ImportedAnnotation,
    ImportJob,
    Photo,
    Plan,
    Round,
)
from inspection.models.choices import FindingStatus, PhotoStatus, RoundKind, RoundState
from inspection.selectors.findings import latest_of
from inspection.services.imports.reading import Contents, PackedPhoto
from models_runtime.contracts import Mask
from models_runtime.formats.annotated import AnnotatedPhoto, Annotation, Four, Problems
from models_runtime.formats.shapes import placed
from models_runtime.plans import PlanSpec

OWN_NAME = re.compile(r"_([0-9a-f]{32})$")
SAME = 0.9
"""Boxes that overlap so much, of the same class, are the same finding."""
AT_ONCE = 500
REJECTED = "a person rejected it"
SKIPPED = "its class is left out"


@dataclass(frozen=True, slots=True)
class NewFinding:
    """An annotation in the pixels of its photo, under a class of the plan."""

    annotation: Annotation
    type: str
    severity: str
    box: Four
    mask: Mask | None


@dataclass
class Target:
    """Where the annotations of one photo go: to a photo of the site (``row``), or a new unit."""

    source: AnnotatedPhoto
    packed: PackedPhoto | None
    row: Photo | None
    findings: list[NewFinding] = field(default_factory=list)


@dataclass
class Outcome:
    """What an import does. ``left_out``: what does not come in, and why. ``there``: annotations
    that are findings already."""

    targets: list[Target] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    there: int = 0
    annotations: int = 0


def class_key(name: str, spec: PlanSpec) -> str:
    """The plan's class that is meant by a name, "" where none is."""
    wanted = _plain(name.rpartition("/")[2])
    for defect in spec.defects:
        if wanted in {_plain(word) for word in (defect.key, defect.name, *defect.synonyms)}:
            return str(defect.key)
    return ""


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("_", " ").replace("-", " ").split())


def spec_of(plan: Plan) -> PlanSpec:
    if plan.current is None:
        raise ValueError(f"plan {plan.pk} has no version")
    return plan.current.parsed()


def match(
    job: ImportJob, contents: Contents, mapping: Mapping[str, str], beat: Callable[[], None]
) -> Outcome:
    """What the import would do with this mapping of class names. BadAnnotationsError with what
    fits no photo."""
    finder = _Finder(job, contents)
    spec, outcome, problems = spec_of(job.plan), Outcome(), Problems()
    rest = set(contents.photos)
    targets: list[Target] = []
    for source in contents.data.photos:
        outcome.annotations += len(source.annotations)
        target, why = finder.target(source)
        if target is None:
            outcome.left_out.append((source.file, why))
            continue
        targets.append(target)
        if target.packed is not None:
            rest.discard(target.packed.path)
    if contents.data.format == "yolo":  # a photo without a label file has no defect
        targets += finder.unlabelled(sorted(rest))
    known = _Known(job, [target.row for target in targets if target.row is not None])
    for target in targets:
        beat()
        _fill(target, spec, mapping, known, outcome, problems)
        if target.findings or target.row is None:
            outcome.targets.append(target)
    problems.check()
    return outcome


def _fill(
    target: Target,
    spec: PlanSpec,
    mapping: Mapping[str, str],
    known: _Known,
    outcome: Outcome,
    problems: Problems,
) -> None:
    size = _size(target)
    if target.source.size not in (None, size):
        wide, high = target.source.size or (0, 0)
        problems.add(
            target.source.place,
            f"the file says {wide} × {high} pixels, but {target.source.file} has "
            f"{size[0]} × {size[1]} when it is upright.",
        )
        return
    for annotation in target.source.annotations:
        key = mapping.get(annotation.class_name, "")
        defect = spec.defect(key) if key else None
        if annotation.status == "rejected" or defect is None:
            why = REJECTED if annotation.status == "rejected" else SKIPPED
            outcome.left_out.append((annotation.place, why))
            continue
        try:
            box, mask = placed(annotation, size)
        except ValueError as error:
            problems.add(annotation.place, str(error))
            continue
        severity = annotation.severity
        if severity not in ("minor", "major", "critical"):
            severity = defect.severity.value
        made = NewFinding(annotation, defect.key, severity, box, mask)
        if target.row is not None and known.has(target.row, made):
            outcome.there += 1
        else:
            target.findings.append(made)


def _size(target: Target) -> tuple[int, int]:
    if target.row is not None:
        return target.row.width or 1, target.row.height or 1
    assert target.packed is not None, "a target is a row or a packed photo"
    return target.packed.size


class _Finder:
    """Finds the site's photos for the photos of a file, with a handful of queries."""

    def __init__(self, job: ImportJob, contents: Contents) -> None:
        self._job = job
        self._packed = contents.photos
        self._by_stem = _grouped(contents.photos.values(), lambda one: _stem(one.path))
        rows = self._rows(contents.data.photos)
        self._by_id = {row.pk.hex: row for row in rows}
        self._by_hash = _grouped(rows, lambda row: row.sha256)
        self._by_name = _grouped(rows, lambda row: row.name.casefold())
        self._by_name_stem = _grouped(rows, lambda row: _stem(row.name))
        self._closed = self._sealed({row.inspection_id for row in rows})

    def _rows(self, sources: Sequence[AnnotatedPhoto]) -> list[Photo]:
        names = {PurePosixPath(source.file).name for source in sources}
        hashes = {one.sha256 for one in self._packed.values()}
        ids = {own for source in sources if (own := _own_id(source))}
        ids |= {own for path in self._packed if (own := _id_in(path))}
        found: dict[UUID, Photo] = {}
        for column, values in (("pk", ids), ("sha256", hashes), ("name", names)):
            ordered: list[Any] = sorted(values, key=str)
            for start in range(0, len(ordered), AT_ONCE):
                some = Q(**{f"{column}__in": ordered[start : start + AT_ONCE]})
                found |= {row.pk: row for row in self._ours().filter(some)}
        if any("." not in name for name in names):  # YOLO tells no suffix
            for row in self._by_stems(names):
                found[row.pk] = row
        return list(found.values())

    def _by_stems(self, names: Iterable[str]) -> Iterable[Photo]:
        wanted = [f"{name}.{suffix}" for name in sorted(names) for suffix in _SUFFIXES]
        for start in range(0, len(wanted), AT_ONCE):
            yield from self._ours().filter(name__in=wanted[start : start + AT_ONCE])

    def _ours(self) -> QuerySet[Photo]:
        rows: QuerySet[Photo] = Photo.objects.for_site(self._job.site)
        rows = rows.filter(status=PhotoStatus.READY)
        golden = GoldUnit.objects.filter(site=self._job.site_id).values("inspection")
        copies = Round.objects.filter(site=self._job.site_id, kind=RoundKind.GOLD)
        rows = rows.exclude(inspection__in=golden).exclude(
            inspection__in=copies.values("inspection")
        )
        return rows.select_related("inspection__plan").defer(
            "embedding", "exif", "quality", "inspection__embedding"
        )

    def _sealed(self, ids: set[UUID]) -> set[UUID]:
        rows = Round.objects.filter(inspection__in=ids).exclude(state=RoundState.FINAL)
        return set(rows.values_list("inspection", flat=True))

    def target(self, source: AnnotatedPhoto) -> tuple[Target | None, str]:
        """Where it goes, or None and why nowhere."""
        packed = self._in_zip(source.file)
        rows = self._candidates(source, packed)
        rows = [row for row in rows if row.inspection.plan_id == self._job.plan_id] or rows
        if len({row.pk for row in rows}) > 1:
            return None, f"{len(rows)} photos of the site fit it; nobody can tell which is meant"
        if not rows:
            if packed is None:
                return None, "no photo of the site has this name, and it is not in the zip"
            return Target(source, packed, None), ""
        row = rows[0]
        if row.inspection.plan_id != self._job.plan_id:
            plan = row.inspection.plan
            return None, f"its unit is inspected by {plan.name if plan else 'no plan'}"
        if row.inspection_id in self._closed:
            return None, "its unit is being judged blind; import it when that is over"
        return Target(source, packed, row), ""

    def unlabelled(self, paths: Iterable[str]) -> list[Target]:
        """Photos without a label that the site does not have."""
        made = []
        for path in paths:
            source = AnnotatedPhoto(path, path)
            target, _ = self.target(source)
            if target is not None and target.row is None:
                made.append(target)
        return made

    def _in_zip(self, file: str) -> PackedPhoto | None:
        if file in self._packed:
            return self._packed[file]
        alike = self._by_stem.get(_stem(file), [])
        path = PurePosixPath(file)
        near = [
            one for one in alike if PurePosixPath(one.path).parts[-len(path.parts) :] == path.parts
        ]
        near = near or [one for one in alike if _parents(one.path) == _parents(file)]
        both = near or alike
        return both[0] if len(both) == 1 else None

    def _candidates(self, source: AnnotatedPhoto, packed: PackedPhoto | None) -> list[Photo]:
        own = _own_id(source) or (_id_in(packed.path) if packed else "")
        if own and own in self._by_id:
            return [self._by_id[own]]
        if packed is not None:
            return self._by_hash.get(packed.sha256, [])
        name = PurePosixPath(source.file).name.casefold()
        return self._by_name.get(name) or (
            self._by_name_stem.get(_stem(name), []) if "." not in name else []
        )


_SUFFIXES = ("jpg", "jpeg", "png", "JPG", "JPEG", "PNG", "heic", "HEIC", "webp", "tif", "bmp")


def _grouped(rows: Iterable[Any], key: Callable[[Any], str]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _stem(path: str) -> str:
    name = PurePosixPath(path).name
    stem, dot, suffix = name.rpartition(".")
    return (stem if dot and len(suffix) <= 5 else name).casefold()


def _parents(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts[:-1]


def _own_id(source: AnnotatedPhoto) -> str:
    try:
        return UUID(source.photo).hex
    except ValueError:
        return _id_in(source.file)


def _id_in(path: str) -> str:
    found = OWN_NAME.search(_stem(path))
    return found.group(1) if found else ""


class _Known:
    """What the photos have already: findings, and annotations of the same file."""

    def __init__(self, job: ImportJob, rows: Sequence[Photo]) -> None:
        ids = [row.pk for row in rows]
        units = {row.inspection_id: row.inspection.current_run_id for row in rows}
        self._places: set[tuple[UUID, str]] = set()
        self._findings: dict[UUID, list[Finding]] = defaultdict(list)
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            before = ImportedAnnotation.objects.filter(photo__in=some, file_sha256=job.sha256)
            self._places |= set(before.values_list("photo", "place"))
            here = Finding.objects.filter(photo__in=some, is_sealed=False).defer("mask_counts")
            by_unit: dict[UUID, list[Finding]] = defaultdict(list)
            for finding in here.order_by("created_at", "id"):
                if (
                    finding.run_id in (units[finding.inspection_id], None)
                    or finding.status != FindingStatus.OPEN
                ):
                    by_unit[finding.inspection_id].append(finding)
            for unit, findings in by_unit.items():
                for finding in latest_of(findings, units[unit]):
                    self._findings[finding.photo_id].append(finding)

    def has(self, row: Photo, new: NewFinding) -> bool:
        """Whether it is there already, imported or found otherwise."""
        if (row.pk, new.annotation.place) in self._places:
            return True
        return any(
            str(finding.pk) == new.annotation.finding
            or (finding.type == new.type and _overlap(finding, new.box) >= SAME)
            for finding in self._findings[row.pk]
        )


def _overlap(finding: Finding, box: Four) -> float:
    """Intersection over union."""
    width = min(finding.x2, box[2]) - max(finding.x1, box[0])
    height = min(finding.y2, box[3]) - max(finding.y1, box[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    mine = (finding.x2 - finding.x1) * (finding.y2 - finding.y1)
    return shared / (mine + (box[2] - box[0]) * (box[3] - box[1]) - shared)
