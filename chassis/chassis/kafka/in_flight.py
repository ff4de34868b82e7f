"""The relay's sends in flight: one per key at a time, and a slow one delays no other key."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any

from chassis.db.outbox_queue import OutboxRow

# A topic with so many sends in flight gets no more: a topic that does not answer must not fill the memory.
MAX_PER_TOPIC = 500
# The longest wait for sends that end one after the other: until then none of them is marked.
MAX_WAIT_S = 2.0

Key = tuple[str, str]


def key_of(row: OutboxRow) -> Key:
    """Return the unit of order: events of one topic and key are sent one after the other."""
    return row.topic, row.key


class InFlightSends:
    """Sends each row in a task of its own. `finished` is set when a send ends that `start` did not wait for."""

    def __init__(self, send: Callable[[OutboxRow], Coroutine[Any, Any, None]]) -> None:
        self._send = send
        self._tasks: dict[asyncio.Task[None], OutboxRow] = {}
        self.finished = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self._tasks)

    async def start(self, rows: Iterable[OutboxRow], wait_s: float) -> None:
        """Start to send rows, and wait until all have ended, or none ends for `wait_s`, at most for 2 s."""
        started = {asyncio.create_task(self._send(row)): row for row in rows}
        self._tasks.update(started)
        late, done = set(started), set(started)
        deadline = asyncio.get_running_loop().time() + MAX_WAIT_S
        while late and done and asyncio.get_running_loop().time() < deadline:
            done, late = await asyncio.wait(late, timeout=wait_s)
        for task in late:
            task.add_done_callback(self._set_finished)

    def _set_finished(self, _task: asyncio.Task[None]) -> None:
        self.finished.set()

    def take_finished(self) -> tuple[list[OutboxRow], list[tuple[OutboxRow, BaseException]]]:
        """Remove the sends that have ended. Return the acknowledged rows, and the failed ones with their errors."""
        self.finished.clear()
        results = [(task.exception(), self._tasks.pop(task)) for task in list(self._tasks) if task.done()]
        return [row for error, row in results if error is None], [(row, error) for error, row in results if error]

    def keys(self) -> set[Key]:
        return {key_of(row) for row in self._tasks.values()}

    def full_topics(self) -> list[str]:
        """Return the topics that get no more sends for now."""
        counts = Counter(row.topic for row in self._tasks.values())
        return [topic for topic, count in counts.items() if count >= MAX_PER_TOPIC]

    def cancel_all(self) -> None:
        """Cancel the sends and forget them: whether Kafka has taken them stays unknown."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()


def one_per_key(rows: Sequence[OutboxRow]) -> Iterator[list[OutboxRow]]:
    """Split rows into lists that hold each key once: a key's next event waits for the ack of the one before it."""
    waiting = list(rows)
    while waiting:
        seen: set[Key] = set()
        chosen: list[OutboxRow] = []
        rest: list[OutboxRow] = []
        for row in waiting:
            (rest if key_of(row) in seen else chosen).append(row)
            seen.add(key_of(row))
        yield chosen
        waiting = rest
