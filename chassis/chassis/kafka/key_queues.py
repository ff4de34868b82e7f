"""Messages that wait for another try. Only the first message of a key is tried; later ones wait behind it in order."""

import heapq
from collections import deque
from collections.abc import Iterator
from math import inf

from chassis.kafka.retry import Attempt

# What a waiting message takes beside its content.
OVERHEAD_BYTES = 1024


class KeyQueues:
    """One queue per key that waits. Keys that do not wait have no queue, and a message without a key waits alone."""

    def __init__(self) -> None:
        self._queues: dict[bytes | int, deque[Attempt]] = {}
        # The first message of each queue, unless it is being tried: when it is due, and its offset.
        self._due: list[tuple[float, int, bytes | int]] = []
        self.size_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._queues)

    @property
    def count(self) -> int:
        return sum(map(len, self._queues.values()))

    def firsts(self) -> Iterator[Attempt]:
        """Yield the first message of each key, those that have waited longest first."""
        return (queue[0] for queue in self._queues.values())

    def holds_back(self, attempt: Attempt) -> bool:
        """Whether an earlier message of the same key waits."""
        return attempt.order_key in self._queues

    def add(self, attempt: Attempt) -> None:
        self.size_bytes += _size(attempt)
        queue = self._queues.setdefault(attempt.order_key, deque())
        queue.append(attempt)
        if len(queue) == 1:
            self.put_back(attempt)

    def due_in_s(self, now: float) -> float:
        """Return the seconds until the first message may be tried, infinite when none waits."""
        return max(self._due[0][0] - now, 0.0) if self._due else inf

    def take_due(self, now: float) -> Attempt | None:
        """Return a first message that may be tried at `now`. `put_back` or `remove` must follow."""
        if not self._due or self._due[0][0] > now:
            return None
        return self._queues[heapq.heappop(self._due)[2]][0]

    def remove(self, attempt: Attempt) -> None:
        """Remove the first message of a key; the next one of that key may be tried."""
        self.size_bytes -= _size(attempt)
        queue = self._queues[attempt.order_key]
        queue.popleft()
        if queue:
            self.put_back(queue[0])
        else:
            del self._queues[attempt.order_key]

    def put_back(self, attempt: Attempt) -> None:
        """Let the first message of a key wait until it is due."""
        heapq.heappush(self._due, (attempt.due, attempt.message.offset, attempt.order_key))


def _size(attempt: Attempt) -> int:
    # Headers are kept twice, the second time as text.
    message = attempt.message
    return OVERHEAD_BYTES + message.size_bytes + sum(len(name) + len(data) for name, data in message.raw_headers)
