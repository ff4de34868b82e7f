"""Outboxes and their relays: numbered events on a topic of their own, the rows of an order, the relay's lock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import orjson
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.kit.bus import PublishedEvent

_PUT = """
INSERT INTO outbox (event_id, topic, key, payload)
SELECT gen_random_uuid(), $1, 'key-' || n % $2, jsonb_build_object('number', n)
FROM generate_series($3::int, $3::int + $4::int - 1) AS n ORDER BY n
"""
_ADD_WAITING = """
INSERT INTO outbox (event_id, topic, key, payload, next_attempt_at)
SELECT gen_random_uuid(), $1, 'old-' || n, '{}', now() + interval '1 hour' FROM generate_series(1, $2::int) AS n
"""
_PUBLISH_WAITING = """
UPDATE outbox SET published_at = now(), next_attempt_at = NULL
WHERE topic = $1 AND published_at IS NULL AND next_attempt_at IS NOT NULL
"""
_BY_KEY = """
WITH first_parked AS (SELECT min(parked_at) AS moment FROM outbox WHERE topic = $1)
SELECT key, count(parked_at) AS parked, max(attempts) AS tries,
  count(*) FILTER (WHERE published_at >= first_parked.moment) AS held_up
FROM outbox, first_parked WHERE topic = $1 GROUP BY key
"""
_LOCKED = """
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class NumberedEvents:
    """Events that a test inserts into an outbox without waking the relay, for a topic without consumers."""

    def __init__(self, arena: Arena, service: str) -> None:
        self._arena = arena
        self._service = service
        self._next = 0
        self.topic = f"relay-test-{uuid4().hex[:8]}"

    async def sql(self, statement: str, *values: object) -> list[Any]:
        """Run a statement in the outbox's database; `$1` is the topic."""
        return await self._arena.sql(self._service, statement, self.topic, *values)

    async def put(self, count: int, keys: int) -> None:
        """Commit so many numbered events, with the keys `key-0`, `key-1`, ... in turn."""
        await self.sql(_PUT, keys, self._next, count)
        self._next += count

    async def add(self, key: str, payload: dict[str, Any], headers: dict[str, Any]) -> None:
        """Commit one event with this payload and these headers."""
        await self.sql(
            "INSERT INTO outbox (event_id, topic, key, payload, headers)"
            " VALUES (gen_random_uuid(), $1, $2, $3::text::jsonb, $4::text::jsonb)",
            key,
            orjson.dumps(payload).decode(),
            orjson.dumps(headers).decode(),
        )

    async def add_waiting(self, count: int) -> None:
        """Commit so many events whose next attempt is in an hour."""
        await self.sql(_ADD_WAITING, count)

    async def publish_waiting(self) -> None:
        """Mark these events as published, so that the indexes of waiting events are full of dead entries."""
        await self.sql(_PUBLISH_WAITING)

    async def by_key(self) -> dict[str, dict[str, int]]:
        """Return per key: parked events, most attempts, and events published after the first was parked."""
        return {row["key"]: dict(row) for row in await self.sql(_BY_KEY)}

    async def published(self, at_least: int | None = None, deadline_s: float = 60) -> None:
        """Wait until so many events, or all that are not parked, are marked as published."""
        count = (
            "count(*) FILTER (WHERE published_at IS NOT NULL) AS out, count(*) FILTER (WHERE parked_at IS NULL) AS all"
        )

        async def done() -> bool:
            [row] = await self.sql(f"SELECT {count} FROM outbox WHERE topic = $1")
            return bool(row["out"] >= (row["all"] if at_least is None else at_least))

        await poll(done, f"events on {self.topic} are published", deadline_s, 0.05)

    async def marks(self) -> list[tuple[Any, ...]]:
        """Return what the relay has written at each event."""
        rows = await self.sql("SELECT id, xmin::text, attempts, published_at FROM outbox WHERE topic = $1 ORDER BY id")
        return [tuple(row) for row in rows]

    async def arrived(self) -> dict[str, list[int]]:
        """Read the numbers on the topic by key, in the order of the log, duplicates included."""
        found: dict[str, list[int]] = {}
        for event in await self._arena.bus.read(self.topic):
            number = orjson.loads(event.value or b"{}").get("number")
            if number is not None:
                found.setdefault((event.key or b"").decode(), []).append(number)
        return found

    async def duplicates(self) -> int:
        """Check that every number arrived, in order within its key, and return the number of duplicates."""
        found = await self.arrived()
        for key, numbers in found.items():
            first = list(dict.fromkeys(numbers))
            assert first == sorted(first), f"{key} came out of order"
        assert sorted({number for numbers in found.values() for number in numbers}) == list(range(self._next))
        return sum(map(len, found.values())) - self._next


@asynccontextmanager
async def numbered_events(arena: Arena, service: str = "orderfc") -> AsyncIterator[NumberedEvents]:
    """Make the topic for the block. Topic and events are removed afterwards: the audit does not expect them."""
    events = NumberedEvents(arena, service)
    admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{arena.stack.layout.port('kafka')}")
    await admin.start()
    try:
        await admin.create_topics([NewTopic(events.topic, 3, 1)])
        yield events
        await events.published()
    finally:
        await events.sql("DELETE FROM outbox WHERE topic = $1")
        await admin.delete_topics([events.topic])
        await admin.close()


async def relay_sessions(arena: Arena, service: str) -> list[int]:
    """Return the process ids of the database sessions that hold the relay's lock."""
    return [row["pid"] for row in await arena.sql(service, _LOCKED)]


async def end_relay_session(arena: Arena, service: str) -> int:
    """Terminate the session of the active relay; wait for the next holder of the lock and return its process id."""
    [before] = await relay_sessions(arena, service)
    await arena.sql(service, "SELECT pg_terminate_backend($1)", before)

    async def follows() -> int | None:
        now = await relay_sessions(arena, service)
        return now[0] if now and now != [before] else None

    return int(await poll(follows, "another session holds the lock", 20, 0.02))


async def outbox_rows(arena: Arena, service: str, order: int) -> list[dict[str, Any]]:
    """Return the rows of an order in an outbox, in the order of their ids."""
    rows = await arena.sql(
        service,
        "SELECT id, topic, attempts, next_attempt_at, last_error, published_at FROM outbox WHERE key = $1 ORDER BY id",
        f"order-{order}",
    )
    return [dict(row) for row in rows]


async def copies_on_topic(arena: Arena, order: int, topic: str) -> list[PublishedEvent]:
    """Return every copy of an order's event on its topic."""
    return [event for event in await arena.bus.read(topic) if event.key == f"order-{order}".encode()]


async def answered_order(task: "asyncio.Task[int]") -> int:
    """Wait for the answer to a checkout."""
    async with asyncio.timeout(60):
        return await task


async def event_counts(arena: Arena, number: int) -> dict[str, int]:
    """Count the events of an order in the outboxes, by topic."""
    counts: dict[str, int] = {}
    for service in ("orderfc", "productfc", "paymentfc"):
        rows = await arena.sql(
            service, "SELECT topic, count(*) AS n FROM outbox WHERE key = $1 GROUP BY 1", f"order-{number}"
        )
        counts |= {str(row["topic"]): int(row["n"]) for row in rows}
    return counts
