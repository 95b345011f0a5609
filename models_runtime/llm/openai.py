"""Reports by any OpenAI-compatible server: ``openai:http://host:8000/v1?model=NAME``."""

from __future__ import annotations

from models_runtime.contracts import Architecture, EngineRef, Report, ReportInput
from models_runtime.errors import InputError
from models_runtime.llm import draft
from models_runtime.openai_client import ChatClient
from models_runtime.registry import EngineSpec

MOST_TOKENS = 1500


class OpenAIWriter:
    """A ReportWriter over HTTP. Thread-safe."""

    def __init__(self, client: ChatClient) -> None:
        self._client = client
        self._ref = EngineRef(
            architecture=Architecture.LLM,
            engine=f"openai:{client.model}",
            version=f"prompt-{draft.PROMPT_VERSION}",
        )

    @property
    def ref(self) -> EngineRef:
        return self._ref

    def write(self, evidence: ReportInput) -> Report:
        """Ask the server and check each sentence.

        TransientError and FatalError pass through. A server that refuses this very request, or
        answers without a readable sentence, leaves the template to write all of it.
        """
        try:
            answer = self._client.complete(
                draft.messages(evidence), draft.schema(evidence), max_tokens=MOST_TOKENS
            )
        except InputError as error:
            return draft.without_draft(evidence, f"{self._client.model} refused: {error}")
        return draft.from_answer(answer, evidence, self._client.model)


def load(spec: EngineSpec) -> OpenAIWriter:
    """Load ``openai:http://…/v1?model=…``; options as in ChatClient.from_spec."""
    return OpenAIWriter(ChatClient.from_spec(spec))
