"""A relay on a real outbox whose producer fails as often as a test says."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from chassis.config.settings import ServiceSettings
from chassis.db import outbox_queue
from chassis.db.database import Database
from chassis.db.outbox_queue import OutboxRow
from chassis.db.schema import metadata_factory, outbox_table
from chassis.events import Event
from chassis.kafka.producer import Place, Producer, Record
from chassis.kafka.relay import Relay
from testkit.databases import create_tables

MAX_TRIES = 3


AWAY = OSError("the broker is away")


class FlakyProducer(Producer):
    """Takes every record but those of the keys that it has an error for. With `batches`, each key has a partition."""

    def __init__(self) -> None:
        self.errors: dict[str, Exception] = {}
        self.sent: list[str] = []
        self.batches = False

    def partition_of(self, topic: str, key: str) -> int | None:
        return ord(key[0]) if self.batches else None

    async def send_batch(self, topic: str, partition: int, records: Sequence[Record]) -> Place:
        for record in records:
            if error := self.errors.get(record.key.decode()):
                raise error
        self.sent += [record.value.decode() for record in records]
        return Place(partition, 0)

    async def send(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Iterable[tuple[str, bytes]]
    ) -> Place:
        if error := self.errors.get((key or b"").decode()):
            raise error
        self.sent.append((value or b"").decode())
        return Place(0, 0)


@dataclass
class Bench:
    """One relay, driven batch by batch on a session of its own."""

    settings: ServiceSettings
    db: Database
    session: asyncpg.Connection
    producer: FlakyProducer = field(default_factory=FlakyProducer)
    told: list[OutboxRow] = field(default_factory=list)

    def relay(self) -> Relay:
        return Relay(self.settings, self.db, self.producer, on_parked=self._on_parked)

    async def _on_parked(self, _: asyncpg.Connection, rows: Sequence[OutboxRow]) -> None:
        self.told += rows

    async def publish(self, *names: str) -> None:
        """Commit events named by their key and a number: `a1` has the key `a`."""
        async with self.db.transaction() as tx:
            await tx.publish(*(Event.of("topic", name[0], f'"{name}"') for name in names))

    async def change(self, assignment: str, name: str = "%") -> None:
        await self.session.execute(f"UPDATE outbox SET {assignment} WHERE payload #>> '{{}}' LIKE $1", name)

    async def make_due(self) -> None:
        await self.change("next_attempt_at = now()")

    async def row(self, name: str) -> dict[str, Any]:
        """Give a row, with `wait_s`: the seconds until its next attempt."""
        sql = "SELECT *, extract(epoch FROM next_attempt_at - now())::float8 AS wait_s FROM outbox"
        found = await self.session.fetchrow(f"{sql} WHERE payload #>> '{{}}' = $1", name)
        assert found is not None
        return dict(found)


@asynccontextmanager
async def fresh_bench(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> AsyncIterator[Bench]:
    """Open a bench on a database of its own."""
    settings = ServiceSettings(**await make_database("chassis"), outbox_max_tries=MAX_TRIES)
    metadata = metadata_factory()
    outbox_table(metadata)
    await create_tables(settings, metadata)
    db = Database(settings)
    session = await db.dedicated()
    await outbox_queue.prepare(session)
    yield Bench(settings, db, session)
    await session.close()
    await db.close()
