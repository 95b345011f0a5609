"""Short lines for the person at the terminal; everything else goes to the log files."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

COLOURS = {"loupe": "1;36", "web": "32", "sweeper": "33"}
WORKER_COLOUR = "35"
ERROR_COLOUR = "31"
# What a person should see of a child's log: a worker that is ready, and what went wrong.
READY = re.compile(r" ready\.$")
WRONG = re.compile(r"\[(error|critical)|\b(ERROR|CRITICAL)\b|^Traceback")
CHANGING = re.compile(r"[0-9a-f-]{8,}|\d+")
LONGEST_LINE = 300
MOST_LINES_AT_ONCE = 12
MOST_KINDS_OF_ERRORS = 1000


@dataclass
class Console:
    """Prints lines with a coloured prefix. A terminal that went away does not matter."""

    stream: TextIO = field(default_factory=lambda: sys.stdout)

    def say(self, line: str, *, of: str = "loupe", error: bool = False) -> None:
        """Print a line; `of` names the program it is about."""
        colour = ERROR_COLOUR if error else COLOURS.get(of, WORKER_COLOUR)
        head = f"{of:>8}"
        if self._coloured():
            head = f"\x1b[{colour}m{head}\x1b[0m"
        body = line.replace("\n", "\n" + " " * 8 + " │ ")
        try:
            self.stream.write(f"{head} │ {body}\n")
            self.stream.flush()
        except OSError:
            # What is left in the buffer has to go somewhere, or the exit would fail over it.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)

    def _coloured(self) -> bool:
        return not os.environ.get("NO_COLOR") and self.stream.isatty()


@dataclass
class LogTail:
    """Follows a log file from its present end and gives the lines worth showing.

    An error that comes again and again, but for times and ids, is shown once.
    """

    path: Path
    position: int = 0
    rest: str = ""
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.position = self.path.stat().st_size if self.path.exists() else 0

    def news(self) -> list[str]:
        """Return what came since the last call, shortened, most of it left out."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as log:
            log.seek(self.position)
            came = log.read(1_000_000)
        self.position += len(came)
        *lines, self.rest = (self.rest + came.decode(errors="replace")).split("\n")
        shown = [line[:LONGEST_LINE] for line in lines if self._worth_showing(line)]
        if len(shown) > MOST_LINES_AT_ONCE:
            left_out = len(shown) - MOST_LINES_AT_ONCE
            shown[MOST_LINES_AT_ONCE:] = [f"… and {left_out} more in {self.path}"]
        return shown

    def _worth_showing(self, line: str) -> bool:
        if READY.search(line):
            return True
        if not WRONG.search(line) or len(self.seen) >= MOST_KINDS_OF_ERRORS:
            return False
        kind = CHANGING.sub("#", line)
        new = kind not in self.seen
        self.seen.add(kind)
        return new


def last_lines(path: Path, most: int = 12) -> str:
    """Return the end of a log file, indented, for an error message."""
    if not path.exists():
        return ""
    lines = path.read_text(errors="replace").splitlines()[-most:]
    return "\n".join(f"  {line[:LONGEST_LINE]}" for line in lines)
