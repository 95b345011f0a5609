"""What can go wrong in an engine, split by what the caller should do about it."""


class EngineError(Exception):
    """Base of every error an engine raises on purpose."""


class InputError(EngineError):
    """The input can never work (unreadable photo, box outside it): tell the person, don't retry."""


class TransientError(EngineError):
    """The same call may work later (server busy, time-out): retry with a pause.

    ``retry_after`` is in seconds, None where the other side did not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class FatalError(EngineError):
    """The engine itself is broken or misconfigured: retrying cannot help, an admin can."""
