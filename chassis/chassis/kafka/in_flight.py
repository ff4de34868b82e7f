"""The relay's sends in flight. A slow one delays only the keys of its rows."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

from chassis.db.outbox_queue import OutboxRow
from chassis.kafka.errors import is_broker_trouble
from chassis.kafka.sends import Key, Send, key_of

# The most rows in flight for a topic: a topic that does not answer must not fill the memory.
MAX_PER_TOPIC = 500
# The longest wait for sends that end one by one. None of them is marked before this wait ends.
MAX_WAIT_S = 2.0


@dataclass(slots=True)
class Finished:
    """Rows whose sends have ended: acknowledged, failed with an error each, or in a batch that the broker refused.

    When the broker is away the first row of each key has failed: the others of its key have not been tried by
    themselves, and wait for it.
    """

    sent: list[OutboxRow] = field(default_factory=list)
    failed: list[tuple[OutboxRow, BaseException]] = field(default_factory=list)
    refused: list[OutboxRow] = field(default_factory=list)

    def add(self, send: Send, error: BaseException | None) -> None:
        if error is None:
            self.sent += send.rows
        elif len(send.rows) == 1 or is_broker_trouble(error):
            self.failed += [(row, error) for row in send.firsts()]
        else:
            self.refused += send.rows

    def settled(self) -> list[OutboxRow]:
        return [*self.sent, *(row for row, _ in self.failed)]

    def unsent_keys(self) -> set[Key]:
        return {key_of(row) for row, _ in self.failed} | {key_of(row) for row in self.refused}


class InFlightSends:
    """Carries out each send in a task of its own. `finished` is set when one ends that `wait` did not wait for."""

    def __init__(self, carry_out: Callable[[Send], Coroutine[Any, Any, None]]) -> None:
        self._carry_out = carry_out
        self._tasks: dict[asyncio.Task[None], Send] = {}
        self.finished = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def start(self, sends: Iterable[Send]) -> set[asyncio.Task[None]]:
        started = {asyncio.create_task(self._carry_out(send)): send for send in sends}
        self._tasks.update(started)
        return set(started)

    async def wait(self, started: set[asyncio.Task[None]], wait_s: float) -> None:
        """Wait until all of these sends have ended, or none ends for `wait_s`, at most for 2 s."""
        late, done = started, started
        deadline = asyncio.get_running_loop().time() + MAX_WAIT_S
        while late and done and asyncio.get_running_loop().time() < deadline:
            done, late = await asyncio.wait(late, timeout=wait_s)
        for task in late:
            task.add_done_callback(self._set_finished)

    def _set_finished(self, _task: asyncio.Task[None]) -> None:
        self.finished.set()

    def take_finished(self) -> Finished:
        """Remove the sends that have ended, and return the results of their rows."""
        self.finished.clear()
        finished = Finished()
        for task in [task for task in self._tasks if task.done()]:
            finished.add(self._tasks.pop(task), task.exception())
        return finished

    def keys(self) -> set[Key]:
        return {key_of(row) for send in self._tasks.values() for row in send.rows}

    def full_topics(self) -> list[str]:
        """Return the topics that get no more sends for now."""
        counts = Counter(row.topic for send in self._tasks.values() for row in send.rows)
        return [topic for topic, count in counts.items() if count >= MAX_PER_TOPIC]

    def cancel_all(self) -> None:
        """Cancel the sends and forget them: whether Kafka has taken them stays unknown."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
