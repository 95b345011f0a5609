"""What has to be true before the web process starts: tables, static files, demo data.

Each part is skipped while its fingerprint is the one of the last time, because importing Django
three times would be most of a second start.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from inspection.environment import PROJECT_ROOT
from inspection.supervisor.children import child_environment, has_command
from inspection.supervisor.errors import SupervisorError
from inspection.supervisor.layout import Layout
from inspection.supervisor.options import demo_wanted
from inspection.supervisor.services import Services

MOST_OUTPUT = 4000
NO_SITE = "No site yet"
"""The beginning of what `manage.py site` prints where there is none."""


class Interrupted(Exception):
    """The person asked to stop while something was being prepared."""


@dataclass(frozen=True)
class Preparation:
    """Prepares one database and one state directory.

    `notes` is the file with the fingerprints; it lies beside the database it speaks of.
    """

    notes: Path
    log_ins: Path
    stopping: Callable[[], bool]
    say: Callable[[str], None]

    def needed(self, part: str, fingerprint: str) -> bool:
        return self._read().get(part) != fingerprint

    def done(self, part: str, fingerprint: str) -> None:
        self.notes.write_text(json.dumps(self._read() | {part: fingerprint}))

    def _read(self) -> dict[str, str]:
        try:
            noted = json.loads(self.notes.read_text())
        except (OSError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}

    def migrate(self, always: bool) -> bool:
        """Bring the tables up to date; False where nothing could have changed."""
        fingerprint = migrations_fingerprint()
        if not always and not self.needed("migrations", fingerprint):
            return False
        self.say("preparing the database")
        self._django("migrate", "--no-input", "--verbosity", "0")
        self.done("migrations", fingerprint)
        return True

    def collect_static(self) -> bool:
        """Gather styles and scripts for the web process; False where none changed."""
        fingerprint = static_fingerprint()
        if not self.needed("static", fingerprint):
            return False
        self.say("preparing styles and scripts")
        self._django("collectstatic", "--no-input", "--clear", "--verbosity", "0")
        self.done("static", fingerprint)
        return True

    def demo(self) -> bool:
        """Make the demo site on the first start; False where it was made or is not wanted."""
        if not demo_wanted() or not has_command("demo") or not self.needed("demo", "made"):
            return False
        self.say("making the demo site")
        told = self._django("demo")
        self.log_ins.touch(mode=0o600)
        self.log_ins.write_text(told)
        self.done("demo", "made")
        return True

    def first_site(self) -> str:
        """How to make the first site, "" where there is one; then it is not asked again."""
        if self.log_ins.exists() or not has_command("site") or not self.needed("site", "there"):
            return ""
        told = self._django("site")
        if NO_SITE in told:
            return told[told.index(NO_SITE) :].strip()
        self.done("site", "there")
        return ""

    def _django(self, *words: str) -> str:
        """Run a management command; returns what it printed. It ends early on a stop."""
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "django", *words],
                cwd=PROJECT_ROOT,
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._wait(process)
            output.seek(0)
            told = output.read()
        if process.returncode:
            raise SupervisorError(f"`manage.py {words[0]}` failed:\n{told[-MOST_OUTPUT:]}")
        return told

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        try:
            while process.poll() is None and not self.stopping():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.1)
        finally:
            # Still running only where the person wants to stop.
            process.terminate()
            process.wait()
        if self.stopping():
            raise Interrupted


def preparation_of(
    services: Services, layout: Layout, stopping: Callable[[], bool], say: Callable[[str], None]
) -> Preparation:
    """Return the preparation of the database that `services` stands for."""
    home = services.postgres.home if services.postgres else layout.run
    return Preparation(home / "prepared.json", layout.log_ins, stopping, say)


def migrations_fingerprint() -> str:
    """Name the state of every migration, our own and those of the installed packages."""
    folder = PROJECT_ROOT / "inspection" / "migrations"
    return _digest([*_file_contents(sorted(folder.glob("*.py"))), *_installed_packages()])


def static_fingerprint() -> str:
    """Name the state of every static file by path, size and time of change."""
    files = sorted(path for path in (PROJECT_ROOT / "static").rglob("*") if path.is_file())
    described = (f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)
    return _digest([*described, *_installed_packages()])


def _file_contents(paths: Iterable[Path]) -> Iterable[str]:
    for path in paths:
        yield path.name
        yield path.read_text()


def _installed_packages() -> list[str]:
    folders = [Path(entry) for entry in sys.path if entry.endswith("-packages")]
    return sorted(found.name for folder in folders for found in folder.glob("*.dist-info"))


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
