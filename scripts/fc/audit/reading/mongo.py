"""The audit log of payments, read from MongoDB into the temporary file."""

import asyncio
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from fc.audit.reading.spill import BATCH, Spill
from fc.audit.watch import Watch
from fc.platform.errors import CouldNotCheck
from fc.platform.topics import order_in

DATABASE, COLLECTION = "payment_audit", "payment_audit_logs"
CONNECT_MS = 5_000
# The answer is the whole collection, and a server may assemble all of it before it sends the first byte.
ANSWER_MS = 300_000
_FIELDS = {
    "_id": False,
    "order_id": True,
    "event_id": True,
    "event": True,
    "create_time": True,
    "metadata.event_id": True,
    "metadata.external_id": True,
}


async def read(uri: str, spill: Spill, watch: Watch) -> None:
    """Read the whole collection once. Raises CouldNotCheck."""
    await _refuse_unreachable(uri)
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        uri,
        tz_aware=True,
        serverSelectionTimeoutMS=CONNECT_MS,
        socketTimeoutMS=ANSWER_MS,
        retryReads=False,
        appname="fc-audit",
    )
    try:
        collection = client[DATABASE][COLLECTION]
        watch.stage("reading the audit log", await collection.estimated_document_count())
        rows = []
        async for document in collection.find({}, _FIELDS, batch_size=BATCH):
            rows.append(_row(document))
            if len(rows) == BATCH:
                spill.add_documents(rows)
                watch.advance(len(rows))
                rows = []
        spill.add_documents(rows)
        watch.advance(len(rows))
    except (PyMongoError, OSError) as error:
        raise CouldNotCheck(f"MongoDB: {error}") from error
    finally:
        await client.close()


async def _refuse_unreachable(uri: str) -> None:
    """Raise CouldNotCheck unless a server accepts a connection: the driver's monitors outlive a failed attempt."""
    if not uri.startswith("mongodb://"):
        return
    failure: Exception | None = None
    for host, port in parse_uri(uri)["nodelist"]:
        try:
            async with asyncio.timeout(CONNECT_MS / 1000):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            failure = error
            continue
        writer.close()
        return
    raise CouldNotCheck(f"MongoDB: {failure}") from failure


def _row(document: dict[str, Any]) -> tuple[int, str, str, str | None, Any]:
    """Return (order id or 0, event id, event, published event, time).

    An anomaly without a payment names its order in `metadata.external_id` only.
    """
    metadata = document.get("metadata") or {}
    order_id = document.get("order_id") or order_in(metadata.get("external_id")) or 0
    about = metadata.get("event_id")
    return order_id, document["event_id"], document["event"], about, document["create_time"]
