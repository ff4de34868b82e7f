"""The watch over a member of a group: what ends the process, and what must not."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chassis.kafka import group_watch
from chassis.kafka.group_watch import GroupWatch
from testkit import eventually


class Consumer:
    """A coordination that is alive."""

    async def getmany(self, _partition: Any) -> dict[Any, Any]:
        return {}


class Producer:
    """A broker that answers; `meanwhile` happens while it does."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.meanwhile = meanwhile
        self.pings = 0

    async def ping(self) -> None:
        self.pings += 1
        self.meanwhile()


@pytest.fixture(autouse=True)
def frequent_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_watch, "WATCH_S", 0.02)
    monkeypatch.setattr(group_watch, "UNASSIGNED_S", 0.2)


def watch(producer: Any) -> GroupWatch:
    consumer: Any = Consumer()
    return GroupWatch(consumer, producer, "g")


async def test_an_assignment_that_comes_while_the_broker_is_asked_ends_nothing() -> None:
    """As after a pause of the process: the broker's answer and the assignment come in the same instant."""
    watched: list[GroupWatch] = []
    producer = Producer(lambda: watched[0].assigned())
    watched.append(watch(producer))
    running = asyncio.create_task(watched[0].run())
    for _ in range(5):
        pings = producer.pings
        watched[0].revoked()
        await eventually(lambda before=pings: producer.pings > before)
    assert not running.done()
    running.cancel()


async def test_a_group_that_never_assigns_ends_the_process() -> None:
    with pytest.raises(RuntimeError, match="has assigned nothing"):
        await asyncio.wait_for(watch(Producer()).run(), 10)


async def test_the_time_in_which_the_broker_does_not_answer_does_not_count() -> None:
    answers = [True]

    def refuse() -> None:
        if not answers[0]:
            raise ConnectionRefusedError

    producer = Producer(refuse)
    answers[0] = False
    running = asyncio.create_task(watch(producer).run())
    await eventually(lambda: producer.pings > 30)
    assert not running.done()
    answers[0] = True
    with pytest.raises(RuntimeError):
        await asyncio.wait_for(running, 10)
