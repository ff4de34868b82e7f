"""The chain of audit entries: one per order, exact with several replicas, outages, repetitions and older versions."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from pymongo import AsyncMongoClient

from chassis.db.outbox_queue import OutboxRow
from fc.audit.reading.mongo import entry_hash
from paymentfc.errors import AuditUnavailable
from paymentfc.model.chain import FIRST
from paymentfc.repository import audit
from paymentfc.repository.audit import COLLECTION, DATABASE, AuditLog
from paymentfc.usecase.deliver_audit import deliver_audit

from .bench import Bench

Row = dict[str, Any]
ADD = """
INSERT INTO audit_outbox (event_id, order_id, event, actor, metadata)
SELECT gen_random_uuid(), $1, 'payment.retried', 'test', jsonb_build_object('attempts', n)
FROM generate_series(1, $2) n
"""


@pytest.fixture
async def log(mongo_uri: str) -> AsyncIterator[AuditLog]:
    log = AuditLog(mongo_uri)
    yield log
    await log.close()


@pytest.fixture
async def collection(mongo_uri: str) -> AsyncIterator[Any]:
    client: AsyncMongoClient[Row] = AsyncMongoClient(mongo_uri, tz_aware=True)
    yield client[DATABASE][COLLECTION]
    await client.close()


@pytest.fixture
def order_id() -> int:
    """An order of this test only: the audit log is the session's."""
    return uuid4().int % 2**40 + 1


class Lossy:
    """Stores every second entry, then fails, as many times as it is told to."""

    def __init__(self, log: AuditLog, failures: int) -> None:
        self._log = log
        self._failures = failures

    async def append(self, documents: Sequence[Row]) -> dict[int, str]:
        if self._failures:
            self._failures -= 1
            await self._log.append(documents[1::2])
            raise AuditUnavailable("cut")
        return await self._log.append(documents)

    async def stored(self, event_ids: Sequence[str]) -> set[str]:
        return await self._log.stored(event_ids)


async def _chain(bench: Bench, collection: Any, order_id: int) -> list[Row]:
    """Return the entries of an order as they are linked, after all checks on them."""
    rows = await collection.find({"order_id": order_id}).to_list()
    assert all(row["hash"] == entry_hash(row) for row in rows)
    after = {row["prev_hash"]: row for row in rows}
    assert len(after) == len(rows)
    linked, last = [], FIRST
    while last in after:
        linked.append(after.pop(last))
        last = linked[-1]["hash"]
    assert not after
    heads = await bench.rows("SELECT hash, entries FROM audit_heads WHERE order_id = $1", order_id)
    assert heads == [{"hash": last, "entries": len(linked)}]
    return linked


async def test_each_entry_carries_the_hash_of_its_orders_previous_one(
    bench: Bench, log: AuditLog, collection: Any, order_id: int
) -> None:
    payment = await bench.invoiced(order_id=order_id)
    await deliver_audit(bench.db, log)
    await bench.callback(payment)
    await deliver_audit(bench.db, log)
    events = [row["event"] for row in await _chain(bench, collection, order_id)]
    assert events == ["payment.created", "invoice.created", "payment.paid"]


async def test_replicas_that_deliver_at_the_same_time_make_one_chain(
    bench: Bench, log: AuditLog, collection: Any, order_id: int
) -> None:
    async def write() -> None:
        for _ in range(20):
            await bench.execute(ADD, order_id, 5)

    async def deliver() -> None:
        while not writing.done() or await bench.rows("SELECT id FROM audit_outbox"):
            await deliver_audit(bench.db, log)

    writing = asyncio.gather(write(), write())
    await asyncio.gather(writing, *(deliver() for _ in range(4)))
    assert len(await _chain(bench, collection, order_id)) == 200


async def test_a_delivery_that_is_cut_and_repeated_stores_the_same_chain(
    bench: Bench, log: AuditLog, collection: Any, order_id: int
) -> None:
    lossy = Lossy(log, failures=3)
    for _ in range(3):
        await bench.execute(ADD, order_id, 7)
        with pytest.raises(AuditUnavailable):
            await deliver_audit(bench.db, lossy)
    await deliver_audit(bench.db, lossy)
    assert len(await _chain(bench, collection, order_id)) == 21


async def test_an_event_that_is_published_again_has_one_entry_in_the_chain(
    bench: Bench, log: AuditLog, collection: Any, order_id: int
) -> None:
    payment = await bench.invoiced(order_id=order_id)
    await bench.callback(payment)
    sql = "SELECT id, event_id, topic, key, payload::text AS payload, created_at FROM outbox"
    published = OutboxRow(**(await bench.rows(sql))[0], headers={}, attempts=0)
    for _ in range(2):
        async with bench.db.transaction() as tx:
            await audit.add_published(tx.driver(), [published])
        await deliver_audit(bench.db, log)
        await bench.execute(ADD, order_id, 1)
        await deliver_audit(bench.db, log)
    events = [row["event"] for row in await _chain(bench, collection, order_id)]
    assert events.count("event.published") == 1
    assert await bench.rows("SELECT id FROM audit_outbox") == []


async def test_entries_without_an_order_have_a_chain_of_their_own(bench: Bench, log: AuditLog, collection: Any) -> None:
    await bench.execute(ADD, None, 3)
    mine = [str(row["event_id"]) for row in await bench.rows("SELECT event_id FROM audit_outbox ORDER BY id")]
    await deliver_audit(bench.db, log)
    rows = {row["event_id"]: row for row in await collection.find({"event_id": {"$in": mine}}).to_list()}
    assert [rows[each]["prev_hash"] for each in mine] == [FIRST, *(rows[each]["hash"] for each in mine[:-1])]
    [head] = await bench.rows("SELECT order_id, hash, entries FROM audit_heads")
    assert head == {"order_id": 0, "hash": rows[mine[-1]]["hash"], "entries": 3}


async def test_an_entry_of_the_version_before_is_delivered_without_hashes(
    bench: Bench, log: AuditLog, collection: Any, order_id: int
) -> None:
    await bench.execute(ADD, order_id, 1)
    await bench.execute("UPDATE audit_outbox SET next_attempt_at = NULL")
    await deliver_audit(bench.db, log)
    [row] = await collection.find({"order_id": order_id}).to_list()
    assert "hash" not in row
    await bench.execute("DELETE FROM audit_heads")
    await bench.execute(ADD, order_id, 2)
    await deliver_audit(bench.db, log)
    rows = await collection.find({"order_id": order_id, "hash": {"$exists": True}}).to_list()
    assert FIRST in {row["prev_hash"] for row in rows}
    assert len(rows) == 2


async def test_the_version_before_finds_no_entry_that_needs_a_place_in_the_chain(bench: Bench, order_id: int) -> None:
    await bench.execute(ADD, order_id, 1)
    due = "SELECT id FROM audit_outbox WHERE next_attempt_at IS NULL OR next_attempt_at <= now()"
    assert await bench.rows(due) == []


async def test_a_replica_that_chains_keeps_no_other_waiting(bench: Bench, log: AuditLog, order_id: int) -> None:
    await bench.execute(ADD, order_id, 1)
    async with bench.db.transaction() as tx:
        await tx.driver().execute("SELECT pg_advisory_xact_lock($1)", 0x6661_7564)
        assert await asyncio.wait_for(deliver_audit(bench.db, log), 5) is False
        await bench.execute(ADD, order_id, 1)
    await deliver_audit(bench.db, log)
    assert await bench.rows("SELECT id FROM audit_outbox") == []
