"""Named places where a test makes the process die, fail, hang or stall. Nothing is armed in production."""

import asyncio
import os
import re
import signal
import time
from collections import Counter

import structlog

log = structlog.get_logger(__name__)

SYNTAX = (
    "name=ACTION[@n], comma separated; ACTION is kill, raise, timeout, delay:SECONDS or block:SECONDS, n a number or *"
)
_ITEM = re.compile(
    r"(?P<name>[\w./-]+)=(?P<action>kill|raise|timeout|(?:delay|block):(?P<seconds>\d+(?:\.\d+)?))(?:@(?P<at>[1-9]\d*|\*))?"
)

_armed: dict[str, re.Match[str]] = {}
_hits: Counter[str] = Counter()


class FailpointError(RuntimeError):
    """Raised by an armed failpoint whose action is `raise`."""


def arm(specification: str) -> None:
    """Arm failpoints as SYNTAX says; an empty text disarms all. Raises ValueError on anything else.

    `kill` sends SIGKILL to the own process. `timeout` raises TimeoutError; at a failpoint after a step the step is done
    and its caller sees a time-out. `delay` waits; `block` blocks the whole event loop. An action is taken at the n-th
    hit only (default 1), with `*` at each.
    """
    _hits.clear()
    _armed.clear()
    _armed.update({item["name"]: item for item in _parsed(specification)})


def check(specification: str) -> str:
    """Return a specification unchanged. Raises ValueError, with SYNTAX in it, when `arm` would."""
    _parsed(specification)
    return specification


def _parsed(specification: str) -> list[re.Match[str]]:
    items = [item.strip() for item in specification.split(",")] if specification.strip() else []
    matches: list[re.Match[str]] = []
    for item in items:
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ValueError(f"failpoint {item!r} should be {SYNTAX}")
        matches.append(match)
    return matches


def is_armed() -> bool:
    return bool(_armed)


async def failpoint(name: str, detail: str = "") -> None:
    """Take the action that is armed for this hit of `name`, if any; also for `name/detail`, such as a topic."""
    if not _armed:
        return
    for armed in (name, f"{name}/{detail}"):
        if armed in _armed:
            await _hit(armed, _armed[armed])


async def _hit(name: str, item: re.Match[str]) -> None:
    _hits[name] += 1
    if (item["at"] or "1") not in ("*", str(_hits[name])):
        return
    log.warning("failpoint hit", failpoint=name, action=item["action"])
    if item["action"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if item["action"] == "raise":
        raise FailpointError(name)
    if item["action"] == "timeout":
        raise TimeoutError(f"failpoint {name}")
    if item["action"].startswith("block"):
        time.sleep(float(item["seconds"]))  # noqa: ASYNC251  # to starve the loop is the fault
    else:
        await asyncio.sleep(float(item["seconds"]))
