"""The platform's clock: the machine's, and in development so much later as `fc clock advance` has made it.

What decides or states a business time reads this one, and SQL reads it as now(): ends, retries, retention, tokens.
What measures reads the machine's, in SQL statement_timestamp(): time-outs, leases, caches, limits, metrics, traces.
"""

import asyncio
import time as machine
from datetime import UTC, datetime, timedelta
from mmap import ACCESS_READ, mmap
from struct import Struct

# The seconds by which the clock is ahead, as the file has them. All processes map it: they see a change at once.
AHEAD = Struct("<q")

_shared: mmap | None = None
_moved: asyncio.Event | None = None
_noticed_s = 0


def check(path: str) -> str:
    """Return the path of a clock's file unchanged. Raises ValueError for anything else."""
    if path:
        _mapped(path)
    return path


def _mapped(path: str) -> mmap:
    try:
        with open(path, "rb") as file:
            return mmap(file.fileno(), AHEAD.size, access=ACCESS_READ)
    except (OSError, ValueError) as error:
        raise ValueError(f"must be the file that `fc up` makes ({error})") from None


def follow(path: str) -> None:
    """Follow the clock of this file; with "" the machine's. Production has none. Raises ValueError."""
    global _shared, _moved, _noticed_s
    _shared = _mapped(path) if path else None
    _moved = asyncio.Event() if path else None
    _noticed_s = ahead_s()


def ahead_s() -> int:
    """Return by how many seconds the clock is ahead of the machine's."""
    return 0 if _shared is None else int(AHEAD.unpack_from(_shared)[0])


def time() -> float:
    """Return the seconds since 1970."""
    return machine.time() + ahead_s()


def now() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=ahead_s())


def moved() -> asyncio.Event | None:
    """Return the event that the next move of the clock sets, or None if it never moves."""
    return _moved


def notice() -> None:
    """Set the event of `moved` if the clock was moved since the last call."""
    global _moved, _noticed_s
    if _moved is not None and (ahead := ahead_s()) != _noticed_s:
        _noticed_s, noticed, _moved = ahead, _moved, asyncio.Event()
        noticed.set()
