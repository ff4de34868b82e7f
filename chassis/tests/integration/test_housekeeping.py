"""What the saga no longer needs is removed, and nothing else."""

from collections.abc import Awaitable, Callable
from typing import Any

from chassis.config.settings import ServiceSettings, load
from chassis.db import housekeeping
from chassis.db.database import Database
from testkit import eventually

_OUTBOX = """
INSERT INTO outbox (event_id, topic, key, payload, created_at, published_at)
SELECT gen_random_uuid(), 't', $1, '{}', now() - interval '30 days', $2::interval + now()
FROM generate_series(1, $3)
"""
_WAITING = """
INSERT INTO outbox (event_id, topic, key, payload, created_at)
SELECT gen_random_uuid(), 't', 'waits', '{}', now() - interval '30 days' FROM generate_series(1, $1)
"""
_INBOX = "INSERT INTO inbox (consumer, event_id, received_at) SELECT $1, gen_random_uuid(), now() - $2::interval"


async def test_old_published_rows_and_old_inbox_rows_go_and_everything_else_stays(
    make_database: Callable[[str], Awaitable[dict[str, Any]]], monkeypatch: Any
) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 10)
    db = Database(load(ServiceSettings, **await make_database("orderfc")))
    async with db.driver() as connection:
        await connection.execute(_WAITING, 1)
        for key, age, count in (("old", "-8 days", 25), ("young", "-6 days", 3)):
            await connection.execute(
                _OUTBOX.replace("$2::interval", f"interval '{age}'").replace("$3", str(count)), key
            )
        for consumer, age in (("old", "15 days"), ("young", "13 days")):
            await connection.execute(_INBOX.replace("$2::interval", f"interval '{age}'"), consumer)

        async def nothing_left_to_do() -> bool:
            return not await housekeeping.purge(db)

        await eventually(nothing_left_to_do)
        left = await connection.fetch("SELECT key, count(*) FROM outbox GROUP BY key ORDER BY key")
        assert [tuple(row) for row in left] == [("waits", 1), ("young", 3)]
        assert [row["consumer"] for row in await connection.fetch("SELECT consumer FROM inbox")] == ["young"]
    await db.close()


async def test_more_unpublished_rows_than_a_batch_at_the_head_keep_no_published_row(
    make_database: Callable[[str], Awaitable[dict[str, Any]]], monkeypatch: Any
) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 10)
    db = Database(load(ServiceSettings, **await make_database("orderfc")))
    async with db.driver() as connection:
        await connection.execute(_WAITING, 25)
        await connection.execute(_OUTBOX.replace("$2::interval", "interval '-8 days'").replace("$3", "25"), "old")
        await connection.execute(_WAITING, 1)
        while await housekeeping.purge(db):
            pass
        rest = await connection.fetch("SELECT key, count(*) FROM outbox GROUP BY key")
        assert [tuple(row) for row in rest] == [("waits", 26)]
    await db.close()


async def test_published_rows_with_low_ids_that_are_young_keep_no_old_row(
    make_database: Callable[[str], Awaitable[dict[str, Any]]], monkeypatch: Any
) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 10)
    db = Database(load(ServiceSettings, **await make_database("orderfc"), outbox_keep_days=3))
    async with db.driver() as connection:
        for key, age, count in (("late", "-2 days", 25), ("old", "-4 days", 25)):
            await connection.execute(
                _OUTBOX.replace("$2::interval", f"interval '{age}'").replace("$3", str(count)), key
            )
        while await housekeeping.purge(db):
            pass
        rest = await connection.fetch("SELECT key, count(*) FROM outbox GROUP BY key")
        assert [tuple(row) for row in rest] == [("late", 25)]
    await db.close()


async def test_each_service_adds_its_own_purges_and_all_run_until_none_is_full(
    make_database: Callable[[str], Awaitable[dict[str, Any]]], monkeypatch: Any
) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 10)
    db = Database(load(ServiceSettings, **await make_database("orderfc")))
    left = [10, 10, 3]

    async def purge(_connection: Any, limit: int) -> int:
        assert limit == 10
        return left.pop(0)

    assert await housekeeping.purge(db, [purge])
    assert await housekeeping.purge(db, [purge])
    assert not await housekeeping.purge(db, [purge])
    await db.close()
