"""The pipeline: from a photo to a verdict and what follows from it, step by step."""

from typing import Any

from inspection.pipeline.act import ACT
from inspection.pipeline.extract import EXTRACT
from inspection.pipeline.intake import INTAKE
from inspection.pipeline.report import REPORT
from inspection.pipeline.route import ROUTE
from inspection.pipeline.segment import SEGMENT
from inspection.pipeline.step import Step
from inspection.pipeline.triage import TRIAGE

PIPELINE: list[Step[Any, Any]] = [
    INTAKE,  # is this a usable photo, was it here before, which unit is it?
    ROUTE,  # which plan fits, if the sender named none?
    EXTRACT,  # what is there, and what looks wrong?
    SEGMENT,  # exactly which pixels?
    TRIAGE,  # what happens with the unit, and must a person look?
    REPORT,  # in sentences, if a report is wanted
    ACT,  # what the playbook calls for
]
