"""What the life of an order is made of, read from databases and topics without the console's code."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from chassis.events import identity
from contracts.topics import CONSUMERS
from fc.platform.snapshot import Snapshot
from fc.platform.sources import Sources
from orderfc.model import Status
from tests.kit.bus import Bus

_HISTORY = "SELECT order_id, status, created_at FROM order_history WHERE order_id = ANY($1)"
_STOCK = "SELECT order_id, state, created_at, updated_at FROM stock_ledger WHERE order_id = ANY($1)"
_PAYMENTS = "SELECT * FROM payments WHERE order_id = ANY($1)"
_REQUESTS = """
SELECT r.order_id FROM payment_requests r JOIN payments p ON p.id = r.payment_id
WHERE r.order_id = ANY($1) AND p.invoice_time IS NULL AND p.status = 'PENDING'
"""
_CALLBACKS = "SELECT id, external_id, create_time FROM payment_callbacks WHERE external_id = ANY($1)"
_ANOMALIES = "SELECT id, external_id, create_time FROM payment_anomalies WHERE external_id = ANY($1)"
_CLOSINGS = "SELECT invoice_id, external_id, create_time FROM invoice_closings WHERE external_id = ANY($1)"
_REFUNDS = "SELECT id, order_id, create_time FROM refunds WHERE order_id = ANY($1)"

Rows = dict[str, datetime | None]
"""The rows of one order: key, as the page names it, and time. Of refunds only that they are due."""


async def truth(sources: Sources, bus: Bus, orders: Sequence[int]) -> dict[int, Rows]:
    """Read the rows that the timelines of these orders must have."""
    found: dict[int, Rows] = {order: {} for order in orders}
    async with Snapshot.taken(sources.databases) as snapshot:
        for row in await snapshot.fetch("orderfc", _HISTORY, orders):
            found[row["order_id"]][f"order/{Status(row['status']).name.lower()}"] = row["created_at"]
        for row in await snapshot.fetch("productfc", _STOCK, orders):
            _add_stock(found[row["order_id"]], row)
        await _add_payments(snapshot, found)
        await _add_reports(snapshot, found)
        await _add_events(snapshot, bus, found)
    return found


def _add_stock(rows: Rows, row: asyncpg.Record) -> None:
    states = {row["state"]: row["updated_at"]}
    if row["state"] in ("TAKEN", "RELEASED"):
        states["TAKEN"] = row["created_at"]
    for state, time in states.items():
        before = rows.get(f"stock/{state}")
        rows[f"stock/{state}"] = min(time, before) if before else time


async def _add_payments(snapshot: Snapshot, found: dict[int, Rows]) -> None:
    for row in await snapshot.fetch("paymentfc", _PAYMENTS, list(found)):
        rows = found[row["order_id"]]
        rows["payment"] = row["create_time"]
        if row["invoice_time"]:
            rows["invoice"] = row["invoice_time"]
        if row["late_paid_at"]:
            rows["settled/late"] = row["late_paid_at"]
        if row["status"] != "PENDING":
            ended = row["paid_at"] if row["status"] == "PAID" else row["update_time"]
            rows[f"settled/{row['status']}"] = None if row["late_paid_at"] else ended
    for row in await snapshot.fetch("paymentfc", _REQUESTS, list(found)):
        found[row["order_id"]]["request"] = None


async def _add_reports(snapshot: Snapshot, found: dict[int, Rows]) -> None:
    """Add what Xendit has reported, and what follows from it."""
    keys = {f"order-{order}": order for order in found}
    for kind, sql, name in (
        ("callback", _CALLBACKS, "id"),
        ("anomaly", _ANOMALIES, "id"),
        ("closing", _CLOSINGS, "invoice_id"),
    ):
        for row in await snapshot.fetch("paymentfc", sql, list(keys)):
            found[keys[row["external_id"]]][f"{kind}/{row[name]}"] = row["create_time"]
    for row in await snapshot.fetch("paymentfc", _REFUNDS, list(found)):
        found[row["order_id"]][f"refund/{row['id']}/due"] = row["create_time"]


async def _add_events(snapshot: Snapshot, bus: Bus, found: dict[int, Rows]) -> None:
    """Add each event on its topic with its time, and which consumers have applied it."""
    keys = {f"order-{order}".encode(): order for order in found}
    for topic, consumers in CONSUMERS.items():
        for record in await bus.read(topic):
            order, headers = keys.get(record.key or b""), {name: value.decode() for name, value in record.headers}
            if order is None:
                continue
            event_id, of = headers["ce_id"], identity(headers["ce_source"], topic, headers["ce_id"])
            found[order][f"event/{topic}/{event_id}"] = datetime.fromisoformat(headers["ce_time"])
            for consumer in consumers:
                applied = await snapshot.applied(consumer, {of: event_id})
                found[order][applied_row(topic, event_id, consumer, is_applied=bool(applied))] = None


def applied_row(topic: str, event_id: str, consumer: str, *, is_applied: bool) -> str:
    return f"event/{topic}/{event_id} {'applied' if is_applied else 'not applied'} by {consumer}"


def told(timeline: Mapping[str, Any]) -> Rows:
    """Return what a page says, in the same form."""
    rows: Rows = {}
    for row in timeline["rows"]:
        kind, _, rest = row["key"].partition("/")
        if kind == "refund" and not rest.endswith("/due"):
            continue
        rows[row["key"]] = row["at"] and datetime.fromisoformat(row["at"])
        for consumer, time in row.get("event", {}).get("applied", {}).items():
            topic, _, event_id = rest.partition("/")
            rows[applied_row(topic, event_id, consumer, is_applied=time is not None)] = None
    return rows
