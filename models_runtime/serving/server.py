"""The server process: gunicorn with one worker, in which the models are loaded once.

Threads take requests; the models work them off in batches. The worker loads the models after the
fork, and until then every question is answered with 503. SIGTERM ends it when what is under way is
answered.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, field
from typing import Any

from gunicorn.app.base import BaseApplication

from models_runtime.contracts import Architecture
from models_runtime.errors import FatalError
from models_runtime.intake.decode import DecodeLimits
from models_runtime.redaction import shown_setting
from models_runtime.registry import ENGINES, EngineSpec
from models_runtime.serving.app import Application, Rules, Shelf
from models_runtime.serving.models import EmbeddingModel, Limits, PlanModel

logger = logging.getLogger(__name__)

SERVED = (Architecture.VLM, Architecture.MLM)
SPARE_THREADS = 8
"""Beyond the queue: for health, and to refuse what is too much."""
BOOT_FAILED = 3
"""gunicorn's own code for a worker that can't begin: it then stops as a whole."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What to serve and how. ``settings``: engine settings by architecture ("vlm", "mlm").

    ``grace``: seconds that requests under way may take when the server is stopped.
    """

    settings: dict[str, str]
    bind: str = "127.0.0.1:8100"
    rules: Rules = field(default_factory=Rules)
    limits: Limits = field(default_factory=lambda: Limits(DecodeLimits(max_bytes=32 * 1024 * 1024)))
    threads: int = 1
    grace: int = 30

    def check(self) -> None:
        """FatalError where a setting can't be served, before anything is started."""
        known = {architecture.value: architecture for architecture in SERVED}
        for name, text in self.settings.items():
            if name not in known:
                raise FatalError(f"{name} engines are not served; there are: {', '.join(known)}")
            scheme = EngineSpec.parse(text).scheme
            if len(text.split()) != 1 or (known[name], scheme) not in ENGINES:
                shown = shown_setting(text)
                raise FatalError(f"{shown!r} is no {name} engine: write for example 'embedded:'")
            if scheme == "openai":
                raise FatalError("openai: engines are served elsewhere already")
        if not self.settings:
            raise FatalError("nothing to serve: name at least one engine")


def serve(serving: Serving) -> None:
    """Serve until SIGTERM or SIGINT; FatalError where a setting can't be served."""
    serving.check()
    _Server(serving).run()


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._application = Application(serving.rules)
        super().__init__()

    def load_config(self) -> None:
        serving = self._serving
        for name, value in {
            "bind": serving.bind,
            "workers": 1,
            "worker_class": "gthread",
            "threads": serving.rules.queue + SPARE_THREADS,
            "graceful_timeout": serving.grace,
            "timeout": 120,
            "keepalive": 30,
            "proc_name": "loupe-models",
            "control_socket_disable": True,
            "post_worker_init": self._begin,
            "worker_int": self._stop,
            "worker_exit": lambda _, worker: self._stop(worker),
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Application:
        return self._application

    def _begin(self, _: Any) -> None:
        threading.Thread(target=self._fill, name="loading", daemon=True).start()

    def _fill(self) -> None:
        """Load the models. One that can't be loaded ends the server: half of it helps nobody."""
        try:
            shelf = filled(self._serving)
        except Exception:
            logger.exception("the models can't be loaded")
            os._exit(BOOT_FAILED)
        self._application.ready(shelf)
        logger.info("serving %s at http://%s/v1", ", ".join(shelf.all), self._serving.bind)

    def _stop(self, _: Any) -> None:
        self._application.stop()


def filled(serving: Serving) -> Shelf:
    """Load the engines and put them on a shelf, each under the name of its engine."""
    # torch reads it when the first engine that needs torch imports it.
    os.environ["OMP_NUM_THREADS"] = str(serving.threads)
    from models_runtime.runtime import Runtime

    runtime = Runtime.from_settings(serving.settings)
    shelf = Shelf()
    if "vlm" in serving.settings:
        extractor = runtime.extractors()[0].load()
        shelf.chat[extractor.ref.engine] = PlanModel(extractor, serving.limits)
    if "mlm" in serving.settings:
        embedder = runtime.embedder()
        shelf.embedding[embedder.ref.engine] = EmbeddingModel(embedder, serving.limits)
    return shelf


def is_local(host: str) -> bool:
    """Whether only this machine can reach an address to listen on."""
    return host in ("127.0.0.1", "localhost", "::1", "[::1]")
