"""The rate limit: a sliding minute of calls per operation, and the headers that report it."""

from collections import deque

from xendit_sim.model import Clock

SHOWN_LIMIT = 600
WINDOW_S = 60.0


class Rates:
    """Counts calls by the simulator's clock. Headers always show a limit; a switch enforces one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, deque[float]] = {}

    def clear(self) -> None:
        self._windows.clear()

    def count(self, name: str, limit: int | None) -> tuple[dict[str, str], bool]:
        """Count a call of an operation. Returns the headers, and whether the call is within `limit`."""
        shown = limit or SHOWN_LIMIT
        now = self._clock().timestamp()
        window = self._windows.setdefault(name, deque())
        while window and window[0] <= now - WINDOW_S:
            window.popleft()
        allowed = limit is None or len(window) < limit
        if allowed:
            window.append(now)
        headers = {
            "Rate-Limit-Limit": str(shown),
            "Rate-Limit-Remaining": str(max(0, shown - len(window))),
            "Rate-Limit-Reset": f"{WINDOW_S - (now - window[0]):.2f}",
        }
        return headers, allowed
