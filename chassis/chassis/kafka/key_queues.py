"""Messages that wait for another try: per key, only the first is tried, and later ones keep their order behind it."""

from collections import deque

from chassis.kafka.retry import Attempt


class KeyQueues:
    """One queue per key that waits. Keys that do not wait have no queue."""

    def __init__(self) -> None:
        self._queues: dict[str | None, deque[Attempt]] = {}

    def __bool__(self) -> bool:
        return bool(self._queues)

    def __contains__(self, key: str | None) -> bool:
        return key in self._queues

    def waiting_keys(self) -> list[str | None]:
        """Return a copy, so that queues may change while it is read."""
        return list(self._queues)

    def add(self, attempt: Attempt) -> None:
        self._queues.setdefault(attempt.message.key, deque()).append(attempt)

    def next_due(self) -> float:
        """Return when the first message may be tried, in monotonic seconds. Raises ValueError when none waits."""
        return min(queue[0].due for queue in self._queues.values())

    def first_due(self, key: str | None, now: float) -> Attempt | None:
        """Return the first message of a key if it may be tried at `now`."""
        queue = self._queues.get(key)
        return queue[0] if queue and queue[0].due <= now else None

    def remove_first(self, key: str | None) -> None:
        """Remove the first message of a key; the next one of that key may be tried."""
        self._queues[key].popleft()
        if not self._queues[key]:
            del self._queues[key]
