"""Gives each audit entry its place in the chain of its order, once, before it is delivered.

A short transaction behind a lock does it, apart from the transactions that write entries: those wait for nothing. The
place is stored with the entry, so a repeated delivery stores the same document. `audit_heads` holds the end of each
chain: without it the removal of the last entries could not be noticed.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg

from chassis.db.database import Database
from paymentfc.model.chain import FIRST, chained
from paymentfc.repository.audit import ENTRY, document_of

# An arbitrary constant that keeps this lock apart from others.
_LOCK_KEY = 0x6661_7564
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock($1)"
_FRESH = f"SELECT {ENTRY} FROM audit_outbox WHERE id = ANY($1::bigint[]) AND hash IS NULL ORDER BY id"
_HEADS = "SELECT order_id, hash, entries FROM audit_heads WHERE order_id = ANY($1::bigint[])"
_LINK = """
WITH linked AS (
  UPDATE audit_outbox o SET prev_hash = link.prev_hash, hash = link.hash
  FROM unnest($1::bigint[], $2::text[], $3::text[]) AS link (id, prev_hash, hash)
  WHERE o.id = link.id)
INSERT INTO audit_heads (order_id, hash, entries)
SELECT * FROM unnest($4::bigint[], $5::text[], $6::bigint[])
ON CONFLICT (order_id) DO UPDATE SET hash = EXCLUDED.hash, entries = EXCLUDED.entries
"""
NO_ORDER = 0
"""The chain of entries that name no order."""


async def chain(db: Database, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Append the entries that have no place yet to the chains of their orders; return {row id: document}.

    Returns nothing while another replica does the same.
    """
    if not ids:
        return {}
    async with db.transaction() as tx:
        driver = tx.driver()
        if not await driver.fetchval(_TRY_LOCK, _LOCK_KEY):
            return {}
        return await _chain(driver, ids)


async def _chain(driver: asyncpg.Connection, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    rows = await driver.fetch(_FRESH, list(ids))
    orders = list({row["order_id"] or NO_ORDER for row in rows})
    heads = {order_id: (end, count) for order_id, end, count in await driver.fetch(_HEADS, orders)}
    documents = {}
    for row in rows:
        order_id = row["order_id"] or NO_ORDER
        end, count = heads.get(order_id, (FIRST, 0))
        documents[row["id"]] = document = chained(document_of(row), end)
        heads[order_id] = (document["hash"], count + 1)
    links = [(row_id, document["prev_hash"], document["hash"]) for row_id, document in documents.items()]
    ends = [(order_id, *heads[order_id]) for order_id in orders]
    await driver.execute(_LINK, *_columns(links, 3), *_columns(ends, 3))
    return documents


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[at] for row in rows] for at in range(width)]
