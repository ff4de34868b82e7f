"""Named places where a test can make a process die or fail; a single dictionary look-up when none is armed."""

import os
import signal
from collections import Counter

import structlog

log = structlog.get_logger(__name__)

_armed: dict[str, tuple[str, int]] = {}
_hits: Counter[str] = Counter()


class FailpointError(RuntimeError):
    """Raised by an armed failpoint whose action is `raise`."""


def arm(specification: str) -> None:
    """Arm failpoints from `name=action[@n]`, comma separated; actions are `kill` (SIGKILL self) and `raise`.

    `@n` acts at the n-th hit only (default 1). An empty text disarms all. Raises ValueError on anything else.
    """
    _armed.clear()
    _hits.clear()
    for item in filter(None, (part.strip() for part in specification.split(","))):
        name, separator, rest = item.partition("=")
        action, _, count = rest.partition("@")
        if not separator or action not in {"kill", "raise"} or not (count or "1").isdigit():
            raise ValueError(f"failpoint {item!r}: expected name=kill[@n] or name=raise[@n]")
        _armed[name] = (action, int(count or "1"))


def failpoint(name: str) -> None:
    """Do nothing, unless this name is armed and has now been hit as often as it was armed for."""
    if not _armed or name not in _armed:
        return
    action, at = _armed[name]
    _hits[name] += 1
    if _hits[name] != at:
        return
    log.warning("failpoint hit", failpoint=name, action=action)
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise FailpointError(name)
