"""`make run`: everything on this machine, in order, until Ctrl-C."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType

from inspection import environment as env
from inspection.supervisor import children, options, ports
from inspection.supervisor.children import Child
from inspection.supervisor.console import Console, LogTail, last_lines
from inspection.supervisor.errors import SupervisorError
from inspection.supervisor.layout import Layout
from inspection.supervisor.options import Address
from inspection.supervisor.preparation import Interrupted, preparation_of
from inspection.supervisor.services import (
    Services,
    embedded_services,
    in_use,
    make_state_dir,
)

READY_SECONDS = 180.0
HEALTH_EVERY_SECONDS = 5.0
TICK_SECONDS = 0.25
GIVE_UP_AFTER = 3
LEFTOVER_PATIENCE = 10.0


@dataclass
class Stop:
    """Counts the requests to stop: the first is for an orderly end, the second for a quick one."""

    requests: int = 0

    def __bool__(self) -> bool:
        return self.requests > 0

    @property
    def forced(self) -> bool:
        return self.requests > 1

    def request(self, number: int, frame: FrameType | None) -> None:
        self.requests += 1

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        heard = {signal.SIGINT, signal.SIGTERM}
        # `nohup make run` ignores the end of its terminal, and is to go on.
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            heard.add(signal.SIGHUP)
        before = {number: signal.signal(number, self.request) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@dataclass
class Supervisor:
    """One start of the whole application on one state directory."""

    layout: Layout
    address: Address
    console: Console
    stop: Stop = field(default_factory=Stop)
    running: list[Child] = field(default_factory=list)
    tails: dict[str, LogTail] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)
    first_site: str = ""

    def run(self) -> None:
        """Start, serve until asked to stop, stop. Raises SupervisorError with what to do."""
        make_state_dir(self.layout)
        with self.stop.on_signals(), only_one(self.layout, self.address):
            for name in children.end_leftovers(self.layout, LEFTOVER_PATIENCE):
                self.console.say(f"ended {name}, left over from a start that was killed")
            ports.check_free(self.address)
            self.console.say("starting")
            services = embedded_services(self.layout)
            with in_use(services, self.layout), contextlib.suppress(Interrupted):
                try:
                    self._prepare(services)
                    self._serve(services)
                finally:
                    self._stop_children()

    def _prepare(self, services: Services) -> None:
        preparation = preparation_of(
            services, self.layout, lambda: bool(self.stop), self.console.say
        )
        if self.stop:
            raise Interrupted
        preparation.migrate(always=services.postgres is None)
        preparation.collect_static()
        preparation.demo()
        self.first_site = preparation.first_site()

    def _serve(self, services: Services) -> None:
        self._launch(Child(children.web(self.address), self.layout))
        self._wait_for_web()
        for program in children.background():
            self._launch(Child(program, self.layout))
        self._greet()
        health_due = time.monotonic() + HEALTH_EVERY_SECONDS
        while not self.stop:
            time.sleep(TICK_SECONDS)
            self._look_after_children()
            if time.monotonic() >= health_due:
                self._look_after(services)
                health_due = time.monotonic() + HEALTH_EVERY_SECONDS

    def _launch(self, child: Child) -> None:
        self.tails[child.program.name] = LogTail(child.log)
        self.running.append(child)
        child.start()

    def _wait_for_web(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not answers(self.address):
            if self.stop:
                raise Interrupted
            self._look_after_children()
            web = self.running[0]
            if web.quick_ends >= GIVE_UP_AFTER or time.monotonic() > deadline:
                raise SupervisorError(
                    f"The web process does not start. The end of {web.log}:\n{last_lines(web.log)}"
                )
            time.sleep(0.05)

    def _greet(self) -> None:
        took = time.monotonic() - self.begun
        self.console.say(f"Loupe is ready after {took:.1f} s: {self.address.url}")
        if self.layout.log_ins.exists():
            self.console.say(self.layout.log_ins.read_text().strip())
        if self.first_site:
            self.console.say(self.first_site)
        self.console.say(f"Ctrl-C stops everything. Logs: {self.layout.logs}")

    def _look_after_children(self) -> None:
        for child in self.running:
            name = child.program.name
            for line in self.tails[name].news():
                self.console.say(line, of=name)
            code = child.ended()
            if code is not None:
                self.console.say(
                    f"ended {ending(code)}; starts again in {child.pause:.0f} s (see {child.log})",
                    of=name,
                    error=True,
                )
            if child.due() and not self.stop:
                child.start()

    def _look_after(self, services: Services) -> None:
        for name, service in (("postgres", services.postgres), ("valkey", services.valkey)):
            if service is None or service.healthy():
                continue
            self.console.say("does not answer; starting it again", of=name, error=True)
            try:
                service.start()
            except SupervisorError as error:
                self.console.say(str(error), of=name, error=True)

    def _stop_children(self) -> None:
        """Stop the web process first, so that nothing new comes in, then the workers."""
        if self.stop:
            self.console.say("stopping; Ctrl-C again ends everything at once")
        web, rest = self.running[:1], self.running[1:]
        for group in (web, rest):
            for child in group:
                child.ask_to_stop()
            self._wait_for(group)
            for child in group:
                child.kill()

    def _wait_for(self, group: list[Child]) -> None:
        deadline = time.monotonic() + options.STOP_SECONDS
        while any(child.running() for child in group):
            if self.stop.forced or time.monotonic() > deadline:
                return
            time.sleep(0.05)


@contextlib.contextmanager
def only_one(layout: Layout, address: Address) -> Iterator[None]:
    """Hold the lock of the state directory; it goes with the process, however that ends."""
    with (layout.run / "supervisor.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            where = lock.read().strip() or "an address it has not told yet"
            raise SupervisorError(
                f"Loupe runs already: {where}. Open that, or stop it with Ctrl-C in its "
                "terminal. For a second one beside it give another LOUPE_STATE and LOUPE_PORT."
            ) from None
        lock.truncate(0)
        lock.write(f"{address.url} (process {os.getpid()})")
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)


def answers(address: Address) -> bool:
    """Tell whether the web process answers at /healthz; a complaint about the host is one too."""
    line = http.client.HTTPConnection(address.host.strip("[]"), address.port, timeout=5)
    try:
        line.request("GET", "/healthz")
        return line.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        line.close()


def ending(code: int) -> str:
    """Say how a process ended."""
    return f"by signal {-code}" if code < 0 else f"with code {code}"


def main() -> int:
    """Run until stopped; returns the exit status."""
    console = Console()
    try:
        address = Address(options.BIND, options.PORT)
        Supervisor(Layout(env.state_dir()), address, console).run()
    except SupervisorError as error:
        console.say(str(error), error=True)
        return 1
    console.say("stopped")
    return 0
