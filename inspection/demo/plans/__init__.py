"""The demo's inspection plans, as files that ``--plan`` of the command line takes too."""

from __future__ import annotations

from pathlib import Path

from models_runtime.plans import PlanSpec

FOLDER = Path(__file__).parent


def demo_plans() -> dict[str, PlanSpec]:
    """The plans by key, which is the name of the file."""
    files = sorted(FOLDER.glob("*.json"))
    return {file.stem: PlanSpec.model_validate_json(file.read_bytes()) for file in files}
