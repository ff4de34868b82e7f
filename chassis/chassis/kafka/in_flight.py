"""The relay's sends that are under way: one per key at a time, and a slow one keeps nobody else waiting."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

from chassis.db.outbox import OutboxRow

# A topic that has so many sends under way gets no more: a topic that hangs must not fill the memory.
CAP = 500


class Flight:
    """Sends rows in tasks of their own, and gives each back with what came of it; `ended` is set by a late one's end."""

    def __init__(self, send: Callable[[OutboxRow], Coroutine[Any, Any, None]]) -> None:
        self._send = send
        self._tasks: dict[asyncio.Task[None], OutboxRow] = {}
        self.ended = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self._tasks)

    async def launch(self, rows: Sequence[OutboxRow], patience_s: float) -> None:
        """Begin to send rows, and wait for their ends for as long as one comes each `patience_s`."""
        begun = {asyncio.create_task(self._send(row)): row for row in rows}
        self._tasks.update(begun)
        late, done = set(begun), set(begun)
        while late and done:
            done, late = await asyncio.wait(late, timeout=patience_s)
        for task in late:
            task.add_done_callback(self._late)

    def _late(self, _task: asyncio.Task[None]) -> None:
        self.ended.set()

    def landed(self) -> tuple[list[OutboxRow], list[tuple[OutboxRow, BaseException]]]:
        """Take out what has ended: the rows that were acknowledged, and those that failed with their errors."""
        self.ended.clear()
        ended = [(task.exception(), self._tasks.pop(task)) for task in list(self._tasks) if task.done()]
        return [row for error, row in ended if error is None], [(row, error) for error, row in ended if error]

    def keys(self) -> set[tuple[str, str]]:
        """Give topic and key of each row that is under way."""
        return {(row.topic, row.key) for row in self._tasks.values()}

    def full(self) -> list[str]:
        """Give the topics that may have no more sends under way."""
        return [topic for topic, count in Counter(row.topic for row in self._tasks.values()).items() if count >= CAP]

    def abandon(self) -> None:
        """Forget all sends: nobody will learn what became of them."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()


def waves(rows: Sequence[OutboxRow]) -> Iterator[list[OutboxRow]]:
    """Split rows so that a wave holds each (topic, key) once: a key's next event waits for its former one's ack."""
    waiting = list(rows)
    while waiting:
        seen: set[tuple[str, str]] = set()
        wave: list[OutboxRow] = []
        rest: list[OutboxRow] = []
        for row in waiting:
            (rest if (row.topic, row.key) in seen else wave).append(row)
            seen.add((row.topic, row.key))
        yield wave
        waiting = rest
