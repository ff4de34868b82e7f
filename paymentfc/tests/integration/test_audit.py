"""The audit log in MongoDB: each entry once, also after an outage or a failure that follows the write."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from pymongo import AsyncMongoClient

from chassis.db.outbox_queue import OutboxRow
from paymentfc.errors import AuditUnavailable
from paymentfc.repository import audit, failed_events
from paymentfc.repository.audit import COLLECTION, DATABASE, AuditLog
from paymentfc.usecase.deliver_audit import deliver_audit
from testkit import free_port

from .bench import Bench

Collection = Any


@pytest.fixture
async def mongo(mongo_uri: str) -> AsyncIterator[Collection]:
    """The collection in MongoDB."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo_uri, tz_aware=True)
    yield client[DATABASE][COLLECTION]
    await client.close()


@pytest.fixture
async def audit_log(mongo_uri: str) -> AsyncIterator[AuditLog]:
    """The collection as the service uses it."""
    log = AuditLog(mongo_uri)
    yield log
    await log.close()


class FailsAfterStoring:
    """Stores everything and then fails."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    async def append(self, documents: Sequence[dict[str, Any]]) -> dict[int, str]:
        await self._log.append(documents)
        raise AuditUnavailable("cut")

    async def stored(self, event_ids: Sequence[str]) -> set[str]:
        return await self._log.stored(event_ids)


async def _events(mongo: Collection, order_id: int, user_id: int) -> list[str]:
    found = mongo.find({"order_id": order_id, "user_id": user_id}).sort("create_time", 1)
    return [document["event"] async for document in found]


async def test_entries_wait_while_mongodb_is_down_and_arrive_once_each(
    bench: Bench, audit_log: AuditLog, mongo: Collection
) -> None:
    user = uuid4().int % 2**31
    payment = await bench.invoiced(user_id=user)
    away = AuditLog(f"mongodb://127.0.0.1:{free_port()}")
    with pytest.raises(AuditUnavailable):
        await deliver_audit(bench.db, away)
    await bench.callback(payment)
    with pytest.raises(AuditUnavailable):
        await deliver_audit(bench.db, FailsAfterStoring(audit_log))
    assert await deliver_audit(bench.db, audit_log) is False
    assert await deliver_audit(bench.db, audit_log) is False
    assert await _events(mongo, payment.order_id, user) == ["payment.created", "invoice.created", "payment.paid"]
    assert await bench.rows("SELECT id FROM audit_outbox") == []
    await away.close()


async def test_an_entry_says_who_did_what_to_which_payment(
    bench: Bench, audit_log: AuditLog, mongo: Collection
) -> None:
    user = uuid4().int % 2**31
    payment = await bench.invoiced(user_id=user)
    await bench.callback(payment)
    await deliver_audit(bench.db, audit_log)
    document = await mongo.find_one({"order_id": payment.order_id, "user_id": user, "event": "payment.paid"})
    assert document["payment_id"] == payment.id
    assert document["external_id"] == payment.external_id
    assert document["actor"] == "xendit"
    assert document["metadata"] == {"invoice_id": payment.invoice_id, "amount": "150000.00", "status": "PAID"}
    assert abs(document["create_time"] - payment.create_time) < timedelta(minutes=1)


async def test_a_published_event_is_told_once_even_when_it_is_marked_twice(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment)
    row = (await bench.rows("SELECT id, event_id, topic, key, payload::text AS payload, created_at FROM outbox"))[0]
    published = OutboxRow(**row, headers={}, attempts=0)
    for _ in range(2):
        async with bench.db.transaction() as tx:
            await audit.add_published(tx.driver(), [published])
    assert (await bench.audits(payment.order_id)).count("event.published") == 1


async def test_a_parked_event_is_recorded_once_with_its_last_error(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment)
    row = (await bench.rows("SELECT id, event_id, topic, key, payload::text AS payload, created_at FROM outbox"))[0]
    for attempts in (12, 13):
        async with bench.db.transaction() as tx:
            await failed_events.add_parked(tx.driver(), [OutboxRow(**row, headers={}, attempts=attempts, error="away")])
    found = await bench.rows("SELECT topic, attempts, error FROM failed_events WHERE event_id = $1", row["event_id"])
    assert found == [{"topic": "payment.success", "attempts": 13, "error": "away"}]


async def test_the_lists_of_the_audit_log_have_indexes(bench: Bench, audit_log: AuditLog, mongo: Collection) -> None:
    await bench.invoiced()
    await deliver_audit(bench.db, audit_log)
    keys = [index["key"] for index in (await mongo.index_information()).values()]
    newest_first = [("create_time", -1), ("event_id", -1)]
    for wanted in (newest_first, [("order_id", 1), *newest_first], [("event", 1), *newest_first]):
        assert wanted in keys
