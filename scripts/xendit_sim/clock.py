"""The clock of invoices: the machine's, or that of the local stack."""

from datetime import timedelta
from pathlib import Path
from struct import Struct

from xendit_sim.model import Clock, utc_now

# The seconds by which the stack's clock is ahead.
_AHEAD = Struct("<q")


def clock_of(file: str | None) -> Clock:
    """Return the clock of this file, or the machine's without one."""
    if file is None:
        return utc_now
    path = Path(file)
    return lambda: utc_now() + timedelta(seconds=_AHEAD.unpack(path.read_bytes())[0])
