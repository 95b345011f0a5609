"""The user that Postgres runs as: it refuses root, so root hands over to an ordinary one."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspection.supervisor.errors import SupervisorError


@dataclass(frozen=True)
class ServiceUser:
    """Who runs Postgres. `uid` None means: whoever runs the supervisor."""

    uid: int | None
    gid: int | None

    def run(
        self, command: Sequence[str | Path], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as this user with a bare environment; its output comes back as text."""
        return subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            cwd="/",
            umask=0o077,
            # Ctrl-C at the terminal is for the supervisor, which stops things in order.
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            **self._identity(),
        )

    def _identity(self) -> dict[str, Any]:
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_run(self, program: Path) -> bool:
        """Tell whether this user reaches and can execute `program`."""
        try:
            return self.run([program, "--version"], timeout=20).returncode == 0
        except OSError:
            return False

    def can_enter(self, directory: Path) -> bool:
        """Tell whether this user may pass through every directory down to `directory`."""
        found = self.run(["/bin/sh", "-c", 'cd "$1"', "sh", directory], timeout=20)
        return found.returncode == 0

    def own(self, directory: Path) -> None:
        """Make a directory that only this user (and root) can read."""
        directory.mkdir(parents=True, exist_ok=True)
        if self.uid is not None and self.gid is not None:
            os.chown(directory, self.uid, self.gid)
        directory.chmod(0o700)


def current() -> ServiceUser:
    """Return the service user for whoever runs this process."""
    if os.geteuid() != 0:
        return ServiceUser(None, None)
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServiceUser(found.pw_uid, found.pw_gid)
    raise SupervisorError(
        "Postgres does not run as root, and this machine has neither a user `postgres` nor "
        "`nobody` to run it as. Start as a normal user, or give DATABASE_URL."
    )
