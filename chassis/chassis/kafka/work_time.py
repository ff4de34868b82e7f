"""A clock that stands still while a partition can't work: during an outage, and while the process is paused."""

import time

# A worker with waiting messages reads the clock more often. What is longer is a pause of the process.
MAX_STEP_S = 6.0


class WorkTime:
    """Counts the seconds in which a partition could work."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._read_at = time.monotonic()

    def now(self) -> float:
        """Return the seconds so far."""
        read_at = time.monotonic()
        self._seconds += min(read_at - self._read_at, MAX_STEP_S)
        self._read_at = read_at
        return self._seconds

    def skip(self) -> None:
        """Leave out the time since the last reading."""
        self._read_at = time.monotonic()
