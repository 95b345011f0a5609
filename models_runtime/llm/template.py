"""The deterministic writer: every sentence is made from the evidence, so nothing can be made up."""

from __future__ import annotations

from models_runtime.contracts import Architecture, Claim, EngineRef, Report, ReportInput
from models_runtime.llm import evidence as words
from models_runtime.registry import EngineSpec

WRITER = "template (no language model configured)"
WRITER_OF_LAST_RESORT = "template (the configured writer failed)"


class TemplateWriter:
    """A ReportWriter without a language model, and named as such on the report."""

    ref = EngineRef(architecture=Architecture.LLM, engine="template", version="1")

    def write(self, evidence: ReportInput) -> Report:
        return Report(
            title=title(evidence),
            claims=tuple(
                Claim(text=s.text, evidence=s.evidence) for s in words.sentences(evidence)
            ),
            writer=WRITER,
        )


def title(evidence: ReportInput) -> str:
    """``Inspection of REFERENCE``."""
    return f"Inspection of {words.line(evidence.reference) or 'a unit without reference'}"


def load(spec: EngineSpec) -> TemplateWriter:
    """Load ``template:``; it has no options."""
    return TemplateWriter()


def is_template(setting: str) -> bool:
    """Whether an engine's setting string names this writer; FatalError where it has no scheme."""
    return EngineSpec.parse(setting).scheme == "template"
