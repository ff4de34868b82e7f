"""The audit log of payments, read from MongoDB into the temporary file."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from fc.audit.reading.spill import BATCH, LogEntry, Spill
from fc.audit.watch import Watch
from fc.platform.errors import CouldNotCheck
from fc.platform.topics import order_in

DATABASE, COLLECTION = "payment_audit", "payment_audit_logs"
CONNECT_MS = 5_000
# The answer is the whole collection, and a server may assemble all of it before it sends the first byte.
ANSWER_MS = 300_000
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


async def read(uri: str, spill: Spill, watch: Watch) -> None:
    """Read the whole collection once. Raises CouldNotCheck."""
    try:
        await _refuse_unreachable(uri)
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            uri,
            tz_aware=True,
            serverSelectionTimeoutMS=CONNECT_MS,
            socketTimeoutMS=ANSWER_MS,
            retryReads=False,
            appname="fc-audit",
        )
    except (PyMongoError, ValueError, OSError):
        # The driver's own sentence may quote a part of the password.
        raise CouldNotCheck("MongoDB: its address can't be used") from None
    try:
        collection = client[DATABASE][COLLECTION]
        watch.stage("reading the audit log", await collection.estimated_document_count())
        rows = []
        async for document in collection.find({}, {"_id": False}, batch_size=BATCH):
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
    reason = str(failure) or f"no answer within {CONNECT_MS / 1000:g} s"
    raise CouldNotCheck(f"MongoDB: {reason}") from failure


def _row(document: dict[str, Any]) -> LogEntry:
    """Return an entry, also where a document that the service did not write lacks fields or has others.

    An anomaly without a payment names its order in `metadata.external_id` only, in versions without hashes.
    """
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    carried, previous = _text(document.get("hash")), _text(document.get("prev_hash"))
    order_id, created = document.get("order_id"), document.get("create_time")
    if not order_id and carried is None:
        order_id = order_in(metadata.get("external_id"))
    return (
        order_id if isinstance(order_id, int) and 0 < order_id < 2**63 else 0,
        str(document.get("event_id")),
        str(document.get("event")),
        _text(metadata.get("event_id")),
        created if isinstance(created, datetime) else _BEGINNING,
        previous,
        carried,
        carried is None or carried == entry_hash(document),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def entry_hash(document: Mapping[str, Any]) -> str | None:
    """Return the hash of an entry's content, or None for a content that the service can't have written.

    Format: docs/security.md, "The audit log". It is computed apart from the service, whose work it checks.
    """
    created = document.get("create_time")
    if not isinstance(created, datetime):
        return None
    time = created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{created.microsecond // 1000:03}Z"
    content = {name: value for name, value in document.items() if name not in ("_id", "hash")}
    try:
        canonical = json.dumps(
            {**content, "create_time": time}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
    except TypeError:
        return None
    return sha256(canonical.encode()).hexdigest()
