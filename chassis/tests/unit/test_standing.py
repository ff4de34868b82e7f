"""What a worker is doing can be seen while it does it: what waits, for how long, why, and which dependency is away."""

from datetime import UTC, datetime, timedelta

import pytest

from chassis.errors import NotYet
from chassis.events import Message
from chassis.kafka.standing import Standing, of_worker
from testkit import eventually

from .worker import TP, Record, Running


def standing_of(running: Running) -> Standing:
    return of_worker(running.consumer, TP, running.worker)


async def test_messages_that_wait_are_shown_with_their_tries_their_error_and_the_next_one() -> None:
    def handle(message: Message, _run: int) -> None:
        if message.key == "order-1":
            raise NotYet("order 1 is not known yet")

    running = Running([Record(1, "order-1"), Record(2, "order-1"), Record(3, "order-2")], handle)
    await eventually(lambda: running.runs.get(1, 0) >= 2 and running.handled == [3])
    standing = standing_of(running)
    assert (standing.topic, standing.partition, standing.position, standing.waiting) == ("stock.updated", 0, 1, 2)
    [first] = standing.retrying
    assert (first.key, first.offset, first.error) == ("order-1", 1, "NotYet: order 1 is not known yet")
    assert first.tries >= 2
    assert abs(first.next_try_at - datetime.now(UTC)) < timedelta(seconds=10)
    await running.worker.drain(2)


async def test_a_dependency_that_is_away_is_named_until_it_is_back() -> None:
    away = True

    def handle(_message: Message, _run: int) -> None:
        if away:
            raise ConnectionRefusedError("the database is away")

    running = Running([Record(1, "order-1")], handle)
    await eventually(lambda: standing_of(running).outage)
    assert standing_of(running).outage == "ConnectionRefusedError: the database is away"
    away = False
    await running.committed(2)
    standing = standing_of(running)
    assert (standing.outage, standing.position, standing.committed, standing.retrying) == (None, 2, 2, [])


@pytest.mark.parametrize(("keys", "shown"), [(25, 20), (3, 3)])
async def test_of_many_keys_that_wait_the_first_are_shown(keys: int, shown: int) -> None:
    def handle(_message: Message, _run: int) -> None:
        raise NotYet("too early")

    running = Running([Record(number, f"k{number}" * 200) for number in range(1, keys + 1)], handle)
    await eventually(lambda: standing_of(running).waiting == keys)
    standing = standing_of(running)
    assert len(standing.retrying) == shown
    assert max(len(each.key or "") for each in standing.retrying) == 200
    await running.worker.drain(2)
