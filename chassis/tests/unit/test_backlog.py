"""How often the relay counts the unpublished events."""

import asyncio
from typing import Any, cast

import asyncpg
import pytest

from chassis.db import outbox
from chassis.db.outbox import Counts
from chassis.kafka import backlog
from chassis.kafka.backlog import PENDING, BacklogGauges

SESSION = cast("asyncpg.Connection", None)


class Counting:
    """Stands in for `outbox.counts`; each count takes `takes_s`, and returns None when it is `too_slow`."""

    def __init__(self) -> None:
        self.calls = 0
        self.takes_s = 0.0
        self.too_slow = False

    async def __call__(self, _session: Any) -> Counts | None:
        self.calls += 1
        await asyncio.sleep(self.takes_s)
        return None if self.too_slow else Counts(pending=self.calls, parked=0)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    made = Counting()
    monkeypatch.setattr(outbox, "counts", made)
    return made


async def test_the_events_are_counted_once_a_second_at_most(counting: Counting) -> None:
    gauges = BacklogGauges()
    for _ in range(3):
        await gauges.report(SESSION)
    assert counting.calls == 1


async def test_a_slow_count_takes_a_tenth_of_the_time_at_most(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "REPORT_S", 0.01)
    counting.takes_s = 0.05
    gauges, began = BacklogGauges(), asyncio.get_running_loop().time()
    while asyncio.get_running_loop().time() < began + 0.6:
        await gauges.report(SESSION)
        await asyncio.sleep(0.01)
    assert counting.calls in (1, 2)


async def test_a_count_that_exceeds_the_time_limit_of_statements_leaves_the_last_values(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "REPORT_S", 0.0)
    gauges = BacklogGauges()
    await gauges.report(SESSION)
    counting.too_slow = True
    await gauges.report(SESSION)
    assert PENDING._value.get() == 1


async def test_a_count_that_exceeds_the_time_limit_of_statements_is_none() -> None:
    class Cancelled:
        async def fetch(self, _statement: str) -> None:
            raise asyncpg.QueryCanceledError("statement timeout")

    assert await outbox.counts(cast("asyncpg.Connection", Cancelled())) is None


async def test_a_relay_that_becomes_active_again_counts_at_once(counting: Counting) -> None:
    gauges = BacklogGauges()
    await gauges.report(SESSION)
    gauges.reset()
    assert PENDING._value.get() == 0
    await gauges.report(SESSION)
    assert counting.calls == 2
