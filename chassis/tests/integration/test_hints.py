"""The relay learns at once of events that another process commits, and finds them by its poll when no hint comes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest

from chassis.db import hints
from chassis.db.database import Database
from chassis.kafka import relay as relay_module
from chassis.kafka.relay import Relay
from chassis.loops import Task
from testkit import eventually

from .relay_bench import Bench, FlakyProducer

NEVER_S = 600


@pytest.fixture
async def other(bench: Bench) -> AsyncIterator[Bench]:
    """Give a bench of another process with the same database."""
    db = Database(bench.settings)
    yield Bench(bench.settings, db, bench.session)
    await db.close()


def last_sent_is(bench: Bench, value: str) -> bool:
    return bench.producer.sent[-1] == value


async def test_a_process_without_a_relay_wakes_the_relay_of_another(
    bench: Bench, other: Bench, run: Callable[[Task], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "POLL_S", NEVER_S)
    run(bench.relay())
    await bench.publish("a1")
    await eventually(lambda: bench.producer.sent == ['"a1"'])
    run(hints.loop(other.db))
    for number in range(2, 6):
        await other.publish(f"a{number}")
        await eventually(partial(last_sent_is, bench, f'"a{number}"'))


async def test_a_relay_that_stands_by_wakes_the_active_one(
    bench: Bench, other: Bench, run: Callable[[Task], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "POLL_S", NEVER_S)
    run(bench.relay())
    await bench.publish("a1")
    await eventually(lambda: bench.producer.sent == ['"a1"'])
    run(Relay(other.settings, other.db, FlakyProducer()))
    for number in range(2, 6):
        await other.publish(f"a{number}")
        await eventually(partial(last_sent_is, bench, f'"a{number}"'))


async def test_an_event_whose_hint_is_lost_is_found_by_the_poll(
    bench: Bench, other: Bench, run: Callable[[Task], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "POLL_S", 0.2)
    run(bench.relay())
    await bench.publish("a1")
    await eventually(lambda: bench.producer.sent == ['"a1"'])
    await other.publish("a2")
    await eventually(lambda: bench.producer.sent == ['"a1"', '"a2"'])


async def test_many_commits_give_few_hints(bench: Bench, other: Bench, run: Callable[[Task], None]) -> None:
    taken: list[float] = []
    loop = asyncio.get_running_loop()
    await hints.take(bench.session, lambda: taken.append(loop.time()))
    run(hints.loop(other.db))
    await eventually(lambda: taken)
    for number in range(100):
        await other.publish(f"a{number}")
    last = loop.time()
    # The hint after the last commit: the one before it was given at most a pause earlier.
    await eventually(lambda: taken[-1] >= last - hints.PAUSE_S)
    assert len(taken) <= (taken[-1] - taken[0]) / hints.PAUSE_S + 2
