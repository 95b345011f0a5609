"""Every action there is. A planner can ask for nothing else, whatever a model wrote.

An action writes rows only, in the transaction that ends its step; what has to reach the outside it
puts into the outbox. That is what makes a step safe to repeat after a kill.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from inspection.models import ActionStep

Action = Callable[[ActionStep], str]

ACTIONS: dict[str, str] = {"ticket": "inspection.actions.tickets:open_ticket"}
"""Name → ``module:function``; the function returns a message for people, or raises ActionFailed."""


class ActionFailed(Exception):
    """The action can't be done; the message says what somebody has to change."""


def find(name: str) -> Action:
    """The action of this name; ActionFailed for one that isn't in the catalogue."""
    path = ACTIONS.get(name)
    if path is None:
        raise ActionFailed(f"There is no action {name!r}; there are: {', '.join(sorted(ACTIONS))}.")
    module, _, function = path.partition(":")
    action: Action = getattr(import_module(module), function)
    return action
