"""The operator's note: cut into segments, each read for its concern, the worst of them counting."""

from __future__ import annotations

import re
from pathlib import Path

from tokenizers import Tokenizer

_SENTENCE = re.compile(r"(?<=[.!?;])\s+|[\r\n]+")


class NoteTokenizer:
    """MiniLM's lower-case WordPiece vocabulary. Used without its padding state: thread-safe."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._limit = limit

    def ids(self, text: str) -> list[int]:
        """Token ids of one segment with [CLS] and [SEP], cut at the limit."""
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids if len(ids) <= self._limit else [*ids[: self._limit - 1], ids[-1]]

    def segments(self, note: str) -> list[list[int]]:
        """Token ids per segment; a long sentence becomes several, nothing is left out."""
        rows: list[list[int]] = []
        for sentence in _SENTENCE.split(note):
            if sentence.strip():
                rows.extend(self._windows(self._tokenizer.encode(sentence.strip()).ids))
        return rows

    def _windows(self, ids: list[int]) -> list[list[int]]:
        inner, room = ids[1:-1], self._limit - 2
        return [
            [ids[0], *inner[start : start + room], ids[-1]] for start in range(0, len(inner), room)
        ]
