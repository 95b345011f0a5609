"""Units, photos, findings, verdicts, comments and attributes as tables: CSV or Parquet.

The columns and what they mean: docs/exports.md.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, Any, Protocol

from inspection.selectors.exports import OutFinding, OutPhoto, OutUnit
from inspection.services.exports.photos import export_name
from inspection.services.exports.scene import Scene, mask_of
from models_runtime.contracts import Mask

TEXT, INT, FLOAT, BOOL, TIME = "text", "int", "float", "bool", "time"
Row = dict[str, Any]
COLUMNS: dict[str, dict[str, str]] = {
    "units": {
        "unit_id": TEXT, "reference": TEXT, "plan": TEXT, "plan_version": INT, "status": TEXT,
        "disposition": TEXT, "severity": TEXT, "confidence": FLOAT, "defect_probability": FLOAT,
        "decided_by": TEXT, "decided_at": TIME, "created_at": TIME, "line": TEXT, "shift": TEXT,
        "supplier": TEXT, "product": TEXT, "note": TEXT, "summary": TEXT, "photos": INT,
        "findings": INT, "is_blind": BOOL,
    },
    "photos": {
        "photo_id": TEXT, "unit_id": TEXT, "position": INT, "name": TEXT, "file": TEXT,
        "sha256": TEXT, "width": INT, "height": INT, "findings": INT,
    },
    "findings": {
        "finding_id": TEXT, "unit_id": TEXT, "photo_id": TEXT, "file": TEXT, "plan": TEXT,
        "type": TEXT, "severity": TEXT, "status": TEXT, "source": TEXT, "history": TEXT,
        "confidence": FLOAT, "mask_confidence": FLOAT, "x": FLOAT, "y": FLOAT, "width": FLOAT,
        "height": FLOAT, "area_px": INT, "length_px": FLOAT, "area_mm2": FLOAT,
        "length_mm": FLOAT, "mask": TEXT, "judged_by": TEXT, "judged_at": TIME, "reason": TEXT,
        "comment": TEXT, "model_type": TEXT, "model_severity": TEXT, "model_confidence": FLOAT,
        "model_x": FLOAT, "model_y": FLOAT, "model_width": FLOAT, "model_height": FLOAT,
        "model_mask": TEXT, "imported_by": TEXT, "imported_at": TIME, "imported_file": TEXT,
        "imported_sha256": TEXT, "imported_place": TEXT,
    },
    "verdicts": {
        "verdict_id": TEXT, "unit_id": TEXT, "finding_id": TEXT, "kind": TEXT, "by": TEXT,
        "at": TIME, "type": TEXT, "severity": TEXT, "status": TEXT, "disposition": TEXT,
        "reason": TEXT, "comment": TEXT, "is_taken_back": BOOL,
    },
    "comments": {
        "comment_id": TEXT, "unit_id": TEXT, "photo_id": TEXT, "answers_to": TEXT, "by": TEXT,
        "at": TIME, "x": FLOAT, "y": FLOAT, "body": TEXT, "resolved_by": TEXT,
        "resolved_at": TIME,
    },
    "attributes": {
        "unit_id": TEXT, "key": TEXT, "value": TEXT, "confidence": FLOAT, "is_abstained": BOOL,
    },
}  # fmt: skip
ROWS_AT_ONCE = 2000


class Sink(Protocol):
    """One table being written into a file."""

    def write(self, row: Row) -> None: ...

    def close(self) -> None: ...


class CsvSink:
    """Text as spreadsheets take it: never as a formula."""

    def __init__(self, columns: dict[str, str], file: IO[bytes]) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        self._columns = list(columns)
        self._writer = csv.writer(self._text)
        self._writer.writerow(self._columns)

    def write(self, row: Row) -> None:
        self._writer.writerow([_cell(row.get(name)) for name in self._columns])

    def close(self) -> None:
        self._text.flush()
        self._text.detach()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


class ParquetSink:
    """Row groups of some thousand rows; pyarrow is loaded here and in no other place."""

    def __init__(self, columns: dict[str, str], file: IO[bytes]) -> None:
        import pyarrow
        from pyarrow import parquet

        kinds = {
            TEXT: pyarrow.string(), INT: pyarrow.int64(), FLOAT: pyarrow.float64(),
            BOOL: pyarrow.bool_(), TIME: pyarrow.timestamp("us", tz="UTC"),
        }  # fmt: skip
        self._pyarrow = pyarrow
        self._schema = pyarrow.schema([(name, kinds[kind]) for name, kind in columns.items()])
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[Row] = []

    def write(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= ROWS_AT_ONCE:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            table = self._pyarrow.Table.from_pylist(self._rows, schema=self._schema)
            self._writer.write_table(table)
        self._rows = []


class TableWriter:
    """All tables of an export, under a folder of the archive."""

    def __init__(self, scene: Scene, suffix: str, folder: str = "") -> None:
        self._scene, self._suffix, self._folder = scene, suffix, folder
        sink = ParquetSink if suffix == "parquet" else CsvSink
        self._files: dict[str, IO[bytes]] = {name: scene.aside() for name in COLUMNS}
        self._sinks: dict[str, Sink] = {
            name: sink(columns, self._files[name]) for name, columns in COLUMNS.items()
        }

    def add(self, unit: OutUnit) -> None:
        for table, row in rows_of(unit):
            self._sinks[table].write(row)

    def finish(self) -> None:
        for name, sink in self._sinks.items():
            sink.close()
            self._scene.put_file(f"{self._folder}{name}.{self._suffix}", self._files[name])


def rows_of(unit: OutUnit) -> Iterator[tuple[str, Row]]:
    """Every row of a unit, with the table that it goes to."""
    yield "units", _unit_row(unit)
    for photo in unit.photos:
        yield "photos", _photo_row(unit, photo)
        for finding in photo.findings:
            yield "findings", finding_row(unit, photo, finding)
    yield from (("verdicts", _verdict_row(review)) for review in unit.verdicts)
    yield from (("comments", _comment_row(comment)) for comment in unit.comments)
    for value in unit.attributes:
        yield (
            "attributes",
            {
                "unit_id": str(unit.row.pk),
                "key": value.key,
                "value": json.dumps(value.value, ensure_ascii=False),
                "confidence": value.confidence,
                "is_abstained": value.abstained,
            },
        )


def _unit_row(unit: OutUnit) -> Row:
    row = unit.row
    same = (
        "reference", "status", "disposition", "confidence", "defect_probability", "decided_at",
        "created_at", "line", "shift", "supplier", "product", "note", "summary",
    )  # fmt: skip
    return {name: getattr(row, name) for name in same} | {
        "unit_id": str(row.pk),
        "plan": unit.plan,
        "plan_version": row.plan_version.number if row.plan_version else None,
        "severity": unit.severity,
        "decided_by": name_of(row.decided_by),
        "photos": len(unit.photos),
        "findings": sum(len(photo.findings) for photo in unit.photos),
        "is_blind": unit.is_blind,
    }


def _photo_row(unit: OutUnit, photo: OutPhoto) -> Row:
    row = photo.row
    same = ("position", "name", "sha256", "width", "height")
    return {name: getattr(row, name) for name in same} | {
        "photo_id": str(row.pk),
        "unit_id": str(unit.row.pk),
        "file": export_name(row),
        "findings": len(photo.findings),
    }


def finding_row(unit: OutUnit, photo: OutPhoto, finding: OutFinding) -> Row:
    """A finding as a row of its table."""
    row, verdict, origin = finding.row, finding.verdict, finding.imported
    same = (
        "type", "severity", "status", "source", "history", "confidence", "mask_confidence",
        "area_px", "length_px", "area_mm2", "length_mm",
    )  # fmt: skip
    made = {name: getattr(row, name) for name in same} | {
        "finding_id": str(row.pk),
        "unit_id": str(unit.row.pk),
        "photo_id": str(photo.row.pk),
        "file": export_name(photo.row),
        "plan": unit.plan,
        "mask": mask_text(mask_of(row)),
        **_box(row.x1, row.y1, row.x2, row.y2),
        **_models_row(finding),
    }
    if verdict is not None:
        made |= {"judged_by": name_of(verdict.reviewer), "judged_at": verdict.created_at}
        made |= {"reason": verdict.reason, "comment": verdict.comment}
    if origin is not None:
        made |= {
            "imported_by": name_of(origin.job.requested_by),
            "imported_at": origin.created_at,
            "imported_file": origin.job.name,
            "imported_sha256": origin.file_sha256,
            "imported_place": origin.place,
        }
    return made


def _models_row(finding: OutFinding) -> Row:
    said = finding.models
    if said is None:
        return {}
    box = _box(said["x1"], said["y1"], said["x2"], said["y2"])
    mask = None
    if said["mask_counts"]:
        mask = Mask(size=(said["mask_height"], said["mask_width"]), counts=said["mask_counts"])
    return {
        "model_type": said["type"],
        "model_severity": said["severity"],
        "model_confidence": said["confidence"],
        "model_mask": mask_text(mask),
        **{f"model_{name}": value for name, value in box.items()},
    }


def _box(x1: float, y1: float, x2: float, y2: float) -> dict[str, float]:
    return {"x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1}


def mask_text(mask: Mask | None) -> str | None:
    """As JSON that pycocotools takes as it is."""
    if mask is None:
        return None
    return json.dumps({"size": list(mask.size), "counts": mask.counts})


def _verdict_row(review: Any) -> Row:
    said = review.after
    return {name: said.get(name) for name in ("type", "severity", "status", "disposition")} | {
        "verdict_id": str(review.pk),
        "unit_id": str(review.inspection_id),
        "finding_id": str(review.finding_id) if review.finding_id else None,
        "kind": review.kind,
        "by": name_of(review.reviewer),
        "at": review.created_at,
        "reason": review.reason,
        "comment": review.comment,
        "is_taken_back": getattr(review, "undone_by", None) is not None,
    }


def _comment_row(comment: Any) -> Row:
    same = ("x", "y", "body", "resolved_at")
    return {name: getattr(comment, name) for name in same} | {
        "comment_id": str(comment.pk),
        "unit_id": str(comment.inspection_id),
        "photo_id": str(comment.photo_id) if comment.photo_id else None,
        "answers_to": str(comment.thread_id) if comment.thread_id else None,
        "by": name_of(comment.author),
        "at": comment.created_at,
        "resolved_by": name_of(comment.resolved_by),
    }


def name_of(user: Any) -> str | None:
    """What a person is called at the site."""
    return user.get_username() if user is not None else None


def plain(row: Row) -> Row:
    """A row as JSON, without what is empty."""
    return {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if value not in (None, "")
    }
