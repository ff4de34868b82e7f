"""The stores of the tests: four migrated databases, a broker, an audit log, and a Xendit of our own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from chassis.config.settings import ServiceSettings, load
from chassis.events import wire_headers
from chassis.kafka.topics import ensure_topics
from contracts.topics import CONSUMERS, PRODUCERS
from fc.audit.model import Invoice
from fc.audit.reading.mongo import COLLECTION, DATABASE
from fc.audit.refund_model import GivenBack
from fc.audit.report import Report
from fc.audit.run import run_audit
from fc.audit.watch import Watch
from fc.platform.snapshot import Address
from fc.platform.sources import Sources, XenditAddress

from .pieces import LINES, USER, Sample, tables

_OPEN = """
INSERT INTO stock_adjustments (product_id, units, cause)
SELECT id, units, 'opening' FROM (
  SELECT p.id, p.stock
    + (SELECT coalesce(sum(quantity), 0) FROM stock_ledger WHERE product_id = p.id AND state = 'TAKEN')
    - (SELECT coalesce(sum(units), 0) FROM stock_adjustments WHERE product_id = p.id) AS units
  FROM products p) AS counted
WHERE units <> 0
"""


class FakeXendit:
    """The port, with invoices that tests put there; `error` is raised instead of an answer."""

    def __init__(self) -> None:
        self.held: list[Invoice] = []
        self.refunds: dict[str, list[GivenBack]] = {}
        self.error: Exception | None = None
        self.asked: list[int] = []

    async def prepare(self, watch: Watch) -> None:
        watch.stage("preparing")

    async def find(self, order_ids: Sequence[int]) -> list[Invoice]:
        if self.error:
            raise self.error
        self.asked += order_ids
        return [invoice for invoice in self.held if invoice.order_id in set(order_ids)]

    async def given_back(self, invoice_id: str) -> list[GivenBack]:
        return self.refunds.get(invoice_id, [])

    def invoiced(self) -> Iterator[list[tuple[int]]]:
        ids = sorted({invoice.order_id for invoice in self.held})
        if ids:
            yield [(order_id,) for order_id in ids]

    async def close(self) -> None:
        self.asked.clear()


@dataclass
class World:
    """Everything that an audit reads, and how tests write to it."""

    sources: Sources
    xendit: FakeXendit
    connections: dict[str, asyncpg.Connection]
    _ends: dict[TopicPartition, int] = field(default_factory=dict)

    async def audit(self, sources: Sources | None = None, **options: Any) -> Report:
        """Run an audit with the fake of Xendit."""
        return await run_audit(sources or self.sources, gateway=lambda _: self.xendit, **options)

    async def sql(self, service: str, sql: str, *values: Any) -> None:
        """Run a statement."""
        await self.connections[service].execute(sql, *values)

    async def store(self, samples: list[Sample]) -> None:
        """Write samples to all stores; every group has then passed every message that is on a topic."""
        for made in samples:
            made.chain()
        for service, table, rows in tables(samples):
            for columns in {tuple(row) for row in rows}:
                records = [tuple(row.values()) for row in rows if tuple(row) == columns]
                await self.connections[service].copy_records_to_table(table, records=records, columns=columns)
        await self.balance()
        self.xendit.refunds |= {made.invoice_id: made.given_back for made in samples}
        self.xendit.held += [invoice for made in samples for invoice in made.invoices]
        await self._audit([document for made in samples for document in made.documents])
        if self.sources.kafka:
            await self._commit(await self._send([made for made in samples if not made.not_passed]))
            await self._send([made for made in samples if made.not_passed])

    async def balance(self) -> None:
        """Add the stock adjustments that explain the stock and the units that orders hold."""
        await self.sql("productfc", _OPEN)

    async def in_log(self, change: Callable[[AsyncCollection[dict[str, Any]]], Awaitable[object]]) -> None:
        """Change the audit log behind the service's back."""
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(self.sources.mongo, tz_aware=True)
        try:
            await change(client[DATABASE][COLLECTION])
        finally:
            await client.close()

    async def _audit(self, documents: list[dict[str, Any]]) -> None:
        if documents and self.sources.mongo:
            await self.in_log(lambda log: log.insert_many([dict(document) for document in documents]))

    async def _send(self, samples: list[Sample]) -> dict[TopicPartition, int]:
        rows = [
            (service, row, made.sent_keys.get(row["event_id"], row["key"]))
            for made in samples
            for service in sorted(set(PRODUCERS.values()))
            for row in made.of(service, "outbox")
            if row["published_at"] and row["event_id"] not in made.off_topic
        ]
        sent = [
            (
                row["topic"],
                row["payload"].encode(),
                str(key).encode(),
                wire_headers(service, row["event_id"], row["topic"], row["created_at"], {}),
            )
            for service, row, key in rows
        ]
        return await self.send(sent)

    async def send(self, messages: Sequence[tuple[str, bytes, bytes, dict[str, str]]]) -> dict[TopicPartition, int]:
        """Put (topic, value, key, headers) on topics, and give the end of each partition written to."""
        producer = AIOKafkaProducer(bootstrap_servers=self.sources.kafka, acks="all", linger_ms=5)
        await producer.start()
        try:
            futures = [
                await producer.send(
                    topic, value, key, headers=[(name, text.encode()) for name, text in headers.items()]
                )
                for topic, value, key, headers in messages
            ]
            done = await asyncio.gather(*futures)
        finally:
            await producer.stop()
        ends: dict[TopicPartition, int] = {}
        for metadata in done:
            partition = TopicPartition(metadata.topic, metadata.partition)
            ends[partition] = max(ends.get(partition, 0), metadata.offset + 1)
        self._ends |= ends
        return ends

    async def pass_all(self) -> None:
        """Let every group pass all that was sent so far."""
        await self._commit(self._ends)

    async def _commit(self, ends: dict[TopicPartition, int]) -> None:
        for group in sorted({group for groups in CONSUMERS.values() for group in groups}):
            wanted = {each: end for each, end in ends.items() if group in CONSUMERS.get(each.topic, ())}
            if wanted:
                consumer = AIOKafkaConsumer(
                    bootstrap_servers=self.sources.kafka, group_id=group, enable_auto_commit=False
                )
                await consumer.start()
                try:
                    consumer.assign(list(wanted))
                    await consumer.commit(wanted)
                finally:
                    await consumer.stop()


def address_of(database: dict[str, Any]) -> Address:
    """Read what `make_database` gives."""
    return Address(
        database["db_host"], database["db_port"], database["db_user"], database["db_password"], database["db_name"]
    )


@asynccontextmanager
async def opened_world(
    databases: dict[str, dict[str, Any]], kafka: str | None = None, mongo: str | None = None
) -> AsyncIterator[World]:
    """Open the stores, with the customer and the products of the samples in them."""
    addresses = {service: address_of(database) for service, database in databases.items()}
    xendit = FakeXendit()
    async with AsyncExitStack() as stack:
        world = World(Sources(addresses, kafka, mongo, XenditAddress("http://xendit.test")), xendit, {})
        for service, each in addresses.items():
            connection = await asyncpg.connect(
                host=each.host, port=each.port, user=each.user, password=each.password, database=each.database
            )
            stack.push_async_callback(connection.close)
            world.connections[service] = connection
        if kafka:
            await ensure_topics(load(ServiceSettings, kafka_broker=kafka), PRODUCERS)
        for connection in world.connections.values():
            await _empty(connection)
        await _furnish(world)
        yield world


async def _empty(connection: asyncpg.Connection) -> None:
    """Remove all rows, also of tables that only take new ones."""
    names = await connection.fetch("SELECT relname FROM pg_stat_user_tables WHERE relname <> 'alembic_version'")
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(f"TRUNCATE {', '.join(name for (name,) in names)} RESTART IDENTITY CASCADE")


async def _furnish(world: World) -> None:
    user = "INSERT INTO users (id, name, email, password_hash) OVERRIDING SYSTEM VALUE VALUES ($1, 'A', 'a@b.c', 'x')"
    await world.sql("userfc", user, USER)
    await world.sql("productfc", "INSERT INTO product_categories (name) VALUES ('All')")
    product = """
        INSERT INTO products (id, name, price, stock, category_id) OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, 99, 1)"""
    for product_id, _, price in LINES:
        await world.sql("productfc", product, product_id, f"Product {product_id}", price)
    await world.balance()
