"""What people choose for an export and an import."""

from __future__ import annotations

from typing import Any

from django import forms

from inspection.models import Plan, Site
from inspection.models.transfer import ExportFormat
from inspection.selectors.exports import CHOICES
from inspection.selectors.plans import active_plans
from inspection.services.exports.options import SHAPES, ExportOptions

FORMATS: tuple[tuple[str, str, str], ...] = (
    (
        "coco:rle",
        "COCO, masks as runs (RLE)",
        "Exact. For pycocotools, Detectron2, CVAT.",
    ),
    (
        "coco:polygon",
        "COCO, masks as polygons",
        "Exact in COCO's own reader.",
    ),
    ("yolo:segment", "YOLO segmentation", "Outlines, as Ultralytics trains on them."),
    ("yolo:detect", "YOLO detection", "Boxes only."),
    ("voc:", "Pascal VOC", "Boxes in XML, masks as pictures of objects and classes."),
    ("csv:", "CSV tables", "Units, findings, verdicts, comments, for spreadsheets."),
    ("parquet:", "Parquet tables", "The same tables with types, for pandas, DuckDB and the like."),
)


class ExportForm(forms.Form):
    """``format`` holds the shape of outlines, too."""

    format = forms.ChoiceField(
        choices=[(value, label) for value, label, _ in FORMATS],
        error_messages={"required": "Choose a format.", "invalid_choice": "Choose a format."},
    )
    findings = forms.ChoiceField(choices=list(CHOICES.items()), required=False)
    photos = forms.BooleanField(required=False)

    def chosen(self) -> tuple[str, ExportOptions]:
        """The format, and what fits it."""
        name, _, shape = self.cleaned_data["format"].partition(":")
        options = ExportOptions.of(
            name,
            shape=shape,
            findings=self.cleaned_data["findings"] or "standing",
            photos=self.cleaned_data["photos"],
        )
        return name, options


class ImportForm(forms.Form):
    """A file of annotations, and the plan under whose classes they come in."""

    plan = forms.ModelChoiceField(
        queryset=Plan.objects.none(),
        to_field_name="key",
        empty_label="Choose a plan",
        error_messages={"required": "Choose the plan whose defects these are."},
    )
    file = forms.FileField(
        error_messages={
            "required": "Choose a file: COCO as .json, or COCO or YOLO as .zip.",
            "empty": "This file is empty (0 bytes). Choose another one.",
        }
    )

    def __init__(self, site: Site, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plans = self.fields["plan"]
        assert isinstance(plans, forms.ModelChoiceField)
        plans.queryset = active_plans(site)


def format_words(format: str, shape: str) -> str:
    """An export's format for people."""
    told = {value: label for value, label, _ in FORMATS}
    return told.get(f"{format}:{shape if SHAPES.get(format) else ''}", ExportFormat(format).label)
