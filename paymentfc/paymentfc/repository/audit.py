"""The audit log: rows written in the transaction of the change they describe, delivered to MongoDB afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import orjson
from pymongo import ASCENDING, DESCENDING, AsyncMongoClient
from pymongo.errors import BulkWriteError, PyMongoError

from chassis.db.database import Database, Tx
from chassis.db.outbox_queue import OutboxRow
from chassis.ids import uuid7
from paymentfc.errors import AuditUnavailable
from paymentfc.model.chain import stored_time
from paymentfc.model.payment import Payment, named_order
from paymentfc.repository.pages import Page, offset

DATABASE = "payment_audit"
COLLECTION = "payment_audit_logs"
TIMEOUT_MS = 5_000
DUPLICATE_KEY = 11000
_NEWEST_FIRST = [("create_time", DESCENDING), ("event_id", DESCENDING)]
_PUBLISHED_IDS = UUID("0f5a3c52-1c1b-4c7e-9a55-3f2f6f1b9d11")

_ADD = """
INSERT INTO audit_outbox (event_id, order_id, payment_id, user_id, external_id, event, actor, metadata)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)
"""
_ADD_PUBLISHED = """
INSERT INTO audit_outbox (event_id, order_id, payment_id, user_id, external_id, event, actor, metadata)
SELECT event.id, event.order_id, p.id, p.user_id, p.external_id, $4, 'relay', event.metadata
FROM unnest($1::uuid[], $2::bigint[], $3::jsonb[]) AS event (id, order_id, metadata)
LEFT JOIN payments p ON p.order_id = event.order_id
ON CONFLICT (event_id) DO NOTHING
"""
ABOUT = "id, order_id, user_id, external_id"
ADD_ABOUT = """
INSERT INTO audit_outbox (event_id, order_id, payment_id, user_id, external_id, event, actor, metadata)
SELECT {0}::uuid, order_id, id, user_id, external_id, {1}::text, {2}::text, {3}::jsonb FROM {source}
"""
ENTRY = """
id, event_id, order_id, payment_id, user_id, external_id, event, actor, metadata::text AS metadata, create_time,
prev_hash, hash
"""
# Entries of the version before, which knew no chain, have another `next_attempt_at`.
_DUE = f"""
SELECT {ENTRY}, next_attempt_at = 'infinity' AND hash IS NULL AS fresh FROM audit_outbox
WHERE due_at <= now() ORDER BY due_at, id LIMIT $1
"""
_DELIVERED = "DELETE FROM audit_outbox WHERE id = ANY($1::bigint[])"
_REFUSED = """
UPDATE audit_outbox SET attempts = attempts + 1, last_error = left($2, 500),
  due_at = now() + least(power(2, attempts), 3600) * interval '1 second'
WHERE id = $1
"""


class AuditEvent(StrEnum):
    """The steps of a payment, and the actions of administrators, that are kept for ever."""

    PAYMENT_CREATED = "payment.created"
    INVOICE_CREATED = "invoice.created"
    PAYMENT_PAID = "payment.paid"
    PAYMENT_FAILED = "payment.failed"
    PAYMENT_EXPIRED = "payment.expired"
    PAYMENT_RETRIED = "payment.retried"
    PAYMENT_ANOMALY = "payment.anomaly"
    REFUND_DUE = "refund.due"
    REFUND_REQUESTED = "refund.requested"
    REFUND_SUCCEEDED = "refund.succeeded"
    REFUND_FAILED = "refund.failed"
    REFUND_SETTLED = "refund.settled"
    EVENT_PUBLISHED = "event.published"
    ADMIN_ANOMALY_RESOLVED = "admin.anomaly_resolved"
    ADMIN_EVENT_RETRIED = "admin.event_retried"


@dataclass(frozen=True, slots=True)
class Admin:
    """Who acts, and the address from which the request came."""

    user_id: int
    address: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry to deliver; one that is `fresh` has no place in the chain of its order yet."""

    row: asyncpg.Record

    @property
    def row_id(self) -> int:
        return int(self.row["id"])

    @property
    def event_id(self) -> str:
        return str(self.row["event_id"])

    @property
    def fresh(self) -> bool:
        return bool(self.row["fresh"])


Values = tuple[UUID, str, str, str]
"""The id, event, actor and metadata of an entry."""


def values(event: AuditEvent, actor: str, **metadata: object) -> Values:
    return uuid7(), event.value, actor, orjson.dumps(metadata, default=str).decode()


async def add(tx: Tx, event: AuditEvent, about: Payment | str, actor: str, **metadata: object) -> None:
    """Write an audit row about a payment, or about the external id of a callback that has no payment."""
    payment = about if isinstance(about, Payment) else None
    entry_id, *rest = values(event, actor, **metadata)
    await tx.driver().execute(
        _ADD,
        entry_id,
        about.order_id if isinstance(about, Payment) else named_order(about),
        payment.id if payment else None,
        payment.user_id if payment else None,
        about.external_id if isinstance(about, Payment) else about,
        *rest,
    )


async def add_action(tx: Tx, event: AuditEvent, external_id: str, admin: Admin, **metadata: object) -> None:
    """Write an audit row about an administrator's action: who, from where, on which order."""
    await add(tx, event, external_id, f"admin:{admin.user_id}", address=admin.address, **metadata)


async def add_published(connection: asyncpg.Connection, rows: Sequence[OutboxRow]) -> None:
    """Relay hook: write one row per published event, in the transaction that marks it as published."""
    ids, orders, metadata = [], [], []
    for row in rows:
        order_id = orjson.loads(row.payload).get("order_id")
        ids.append(uuid5(_PUBLISHED_IDS, str(row.event_id)))
        orders.append(order_id if isinstance(order_id, int) else None)
        metadata.append(orjson.dumps({"topic": row.topic, "event_id": str(row.event_id)}).decode())
    await connection.execute(_ADD_PUBLISHED, ids, orders, metadata, AuditEvent.EVENT_PUBLISHED.value)


async def due(db: Database, limit: int) -> list[Entry]:
    """Return the oldest entries that are not delivered yet."""
    async with db.driver() as connection:
        rows = await connection.fetch(_DUE, limit)
    return [Entry(row) for row in rows]


async def delivered(db: Database, ids: Sequence[int]) -> None:
    async with db.driver() as connection:
        await connection.execute(_DELIVERED, list(ids))


async def refused(db: Database, row_id: int, error: str) -> None:
    """Store MongoDB's error with an entry that it refused; the entry is tried again later."""
    async with db.driver() as connection:
        await connection.execute(_REFUSED, row_id, error)


def document_of(row: asyncpg.Record) -> dict[str, Any]:
    """Return the MongoDB document of a row, with the hashes that the row has."""
    document = {name: row[name] for name in ("order_id", "payment_id", "user_id", "external_id", "event", "actor")}
    hashes = {name: row[name] for name in ("prev_hash", "hash") if row[name] is not None}
    metadata, created = orjson.loads(row["metadata"]), stored_time(row["create_time"])
    return {"event_id": str(row["event_id"]), **document, "metadata": metadata, "create_time": created, **hashes}


class AuditLog:
    """The collection in MongoDB; a unique index on `event_id` makes a second delivery a no-op."""

    def __init__(self, uri: str) -> None:
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            uri,
            tz_aware=True,
            serverSelectionTimeoutMS=2_000,
            connectTimeoutMS=2_000,
            socketTimeoutMS=TIMEOUT_MS,
            appname="paymentfc",
        )
        self._collection = self._client[DATABASE][COLLECTION]
        self._indexed = False

    async def append(self, documents: Sequence[dict[str, Any]]) -> dict[int, str]:
        """Store documents that are not stored yet; return {position: error} of those that MongoDB refuses.

        Raises AuditUnavailable when MongoDB does not answer; documents stored by then are duplicates of the next try.
        """
        try:
            await self._ensure_indexes()
            await self._collection.insert_many([dict(document) for document in documents], ordered=False)
        except BulkWriteError as error:
            failures = error.details.get("writeErrors", [])
            if error.details.get("writeConcernErrors"):
                raise AuditUnavailable("the audit log did not confirm the write") from error
            return {item["index"]: str(item.get("errmsg")) for item in failures if item.get("code") != DUPLICATE_KEY}
        except (PyMongoError, OSError) as error:
            raise AuditUnavailable from error
        return {}

    async def stored(self, event_ids: Sequence[str]) -> set[str]:
        """Return which of these entries are stored. Raises AuditUnavailable when MongoDB does not answer."""
        try:
            found = self._collection.find({"event_id": {"$in": list(event_ids)}}, {"_id": False, "event_id": True})
            return {document["event_id"] async for document in found}
        except (PyMongoError, OSError) as error:
            raise AuditUnavailable from error

    async def page(
        self, number: int, size: int, *, order_id: int | None, event: AuditEvent | None
    ) -> Page[dict[str, Any]]:
        """Read a page of entries, newest first. Raises AuditUnavailable when MongoDB does not answer."""
        filters = {"order_id": order_id, "event": event.value if event else None}
        query = {name: value for name, value in filters.items() if value is not None}
        try:
            # The server knows the number of all documents; to count them it would read a whole index.
            collection = self._collection
            total = await (collection.count_documents(query) if query else collection.estimated_document_count())
            skip = offset(number, size)
            documents = collection.find(query, {"_id": False}).sort(_NEWEST_FIRST).skip(skip).limit(size)
            items = await documents.to_list() if skip < total else []
        except (PyMongoError, OSError) as error:
            raise AuditUnavailable from error
        return Page(items, total, number, size)

    async def _ensure_indexes(self) -> None:
        if not self._indexed:
            await self._collection.create_index([("event_id", ASCENDING)], unique=True)
            # Each filter of the list, followed by its order.
            for filtered in ([], [("order_id", ASCENDING)], [("event", ASCENDING)]):
                await self._collection.create_index([*filtered, *_NEWEST_FIRST])
            self._indexed = True

    async def ping(self) -> None:
        """Raises AuditUnavailable when MongoDB does not answer."""
        try:
            await self._client.admin.command("ping")
        except (PyMongoError, OSError) as error:
            raise AuditUnavailable from error

    async def close(self) -> None:
        await self._client.close()
