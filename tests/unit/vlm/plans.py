"""A plan with every kind of characteristic."""

from __future__ import annotations

from models_runtime.plans import PlanSpec

GARMENTS = PlanSpec.model_validate(
    {
        "name": "Garments",
        "characteristics": [
            {"key": "category", "title": "Kind", "options": ["T-Shirt", "Dress"]},
            {"key": "kids", "kind": "boolean"},
            {"key": "condition", "kind": "scale"},
            {"key": "length", "kind": "number", "minimum": 0, "maximum": 300},
            {"key": "brand", "kind": "text"},
        ],
        "defects": [
            {"key": "stain", "name": "Stain", "synonyms": ["spot"], "severity": "minor"},
            {"key": "hole", "name": "Hole", "definition": "One can look through it."},
        ],
    }
)
