"""The relay learns at once of events that another process commits, and finds them by its poll when no hint comes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from chassis.db import hints
from chassis.db.database import Database
from chassis.kafka import relay as relay_module
from chassis.kafka.relay import Relay
from chassis.loops import Task
from testkit import eventually

from .relay_bench import Bench, FlakyProducer, fresh_bench

NEVER_S = 600


@pytest.fixture
async def bench(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> AsyncIterator[Bench]:
    """Give a bench on a database of its own."""
    async with fresh_bench(make_database) as opened:
        yield opened


@pytest.fixture
async def other(bench: Bench) -> AsyncIterator[Bench]:
    """Give a bench of another process with the same database."""
    db = Database(bench.settings)
    yield Bench(bench.settings, db, bench.session)
    await db.close()


@pytest.fixture
async def run() -> AsyncIterator[Callable[[Task], None]]:
    """Give a function that starts a task and stops it after the test."""
    stop, running = asyncio.Event(), []
    yield lambda task: running.append(asyncio.ensure_future(task.run(stop)))
    stop.set()
    await asyncio.gather(*running)


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
        await eventually(lambda: bench.producer.sent[-1] == f'"a{number}"')  # noqa: B023  # awaited in this round


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
        await eventually(lambda: bench.producer.sent[-1] == f'"a{number}"')  # noqa: B023  # awaited in this round


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
