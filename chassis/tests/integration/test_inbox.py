"""The inbox of a consumer: each message is new once, also among several that are recorded together."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest

from chassis.config.settings import ServiceSettings, load
from chassis.db.database import Database
from chassis.db.inbox import first_time, first_times
from chassis.events import Message

_offsets = itertools.count()


@pytest.fixture(scope="module")
async def db(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> AsyncIterator[Database]:
    """A database with an inbox."""
    db = Database(load(ServiceSettings, **await make_database("orderfc")))
    yield db
    await db.close()


def message(event_id: str, source: str = "orderfc") -> Message:
    headers = [("ce_id", event_id.encode()), ("ce_source", source.encode())]
    return Message.received("t", 0, next(_offsets), b"k", b"{}", headers)


async def told_apart(db: Database, run: Sequence[Message], consumer: str = "c") -> tuple[list[int], list[int]]:
    """Record a run and return the places in it of the new messages and of the others."""
    async with db.transaction() as tx:
        return await first_times(tx, consumer, [(each.identity, place) for place, each in enumerate(run)])


async def test_of_a_run_the_messages_that_are_new_are_told_apart_in_their_order(db: Database) -> None:
    first, second, third = (str(uuid4()) for _ in range(3))
    run = [message(first), message(second), message(first), message(second, "another"), message(third), message(second)]
    assert await told_apart(db, run[:1]) == ([0], [])
    assert await told_apart(db, run) == ([1, 3, 4], [0, 2, 5])
    assert await told_apart(db, run) == ([], [0, 1, 2, 3, 4, 5])
    assert await told_apart(db, run, "another consumer") == ([0, 1, 3, 4], [2, 5])
    assert await told_apart(db, []) == ([], [])


async def test_both_forms_know_what_the_other_has_recorded(db: Database) -> None:
    one, other = message(str(uuid4())), message(str(uuid4()))
    async with db.transaction() as tx:
        assert await first_time(tx, "c", one)
    assert await told_apart(db, [one, other]) == ([1], [0])
    async with db.transaction() as tx:
        assert not await first_time(tx, "c", other)


async def test_a_transaction_that_is_undone_leaves_its_messages_new(db: Database) -> None:
    run = [message(str(uuid4())) for _ in range(3)]

    async def recorded_and_undone() -> None:
        async with db.transaction() as tx:
            await first_times(tx, "c", [(each.identity, None) for each in run])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await recorded_and_undone()
    assert await told_apart(db, run) == ([0, 1, 2], [])


async def test_runs_that_share_messages_in_another_order_wait_for_each_other_without_a_deadlock(db: Database) -> None:
    run = [message(str(uuid4())) for _ in range(50)]
    for _ in range(10):
        results = await asyncio.gather(told_apart(db, run), told_apart(db, run[::-1]))
        assert sum(len(new) for new, _ in results) in (0, 50)
