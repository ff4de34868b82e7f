"""Invoices, webhooks and their deliveries in SQLite: in a file that survives a restart, or in memory."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from xendit_sim.model import Invoice, parse_stamp
from xendit_sim.refund_model import Refund

SCHEMA = """
CREATE TABLE IF NOT EXISTS invoices (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, external_id TEXT NOT NULL, status TEXT NOT NULL,
    expires_ms INTEGER NOT NULL, document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS invoices_external_id ON invoices (external_id);
CREATE INDEX IF NOT EXISTS invoices_pending ON invoices (expires_ms) WHERE status = 'PENDING';
CREATE TABLE IF NOT EXISTS webhooks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, invoice_id TEXT NOT NULL, state TEXT NOT NULL,
    document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS webhooks_invoice_id ON webhooks (invoice_id);
CREATE INDEX IF NOT EXISTS webhooks_pending ON webhooks (seq) WHERE state = 'pending';
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, invoice_id TEXT NOT NULL, document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS deliveries_invoice_id ON deliveries (invoice_id);
CREATE TABLE IF NOT EXISTS refunds (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, invoice_id TEXT NOT NULL, key TEXT UNIQUE,
    document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS refunds_invoice_id ON refunds (invoice_id);
"""
# The fixed format of the times makes their texts sort as the moments do.
PERIODS = {
    "created": "json_extract(document, '$.created')",
    "paid": "json_extract(document, '$.payments[0].paid_at')",
    "expired": "status = 'EXPIRED' AND json_extract(document, '$.expiry_date')",
}


@dataclass
class Webhook:
    """One callback: `state` is pending, delivered, failed, timeout or dropped. `refund_id`: it is about a refund."""

    id: str
    invoice_id: str
    external_id: str
    status: str
    body: dict[str, Any]
    state: str = "pending"
    attempts: int = 0
    refund_id: str | None = None


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


class Store:
    """All calls are short and synchronous: on one event loop they do not interleave."""

    def __init__(self, path: str | None) -> None:
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        self._db.close()

    def clear(self) -> None:
        for table in ("invoices", "webhooks", "deliveries", "refunds"):
            self._db.execute(f"DELETE FROM {table}")

    def save(self, invoice: Invoice) -> None:
        """Insert or update an invoice."""
        self._db.execute(
            "INSERT INTO invoices (id, external_id, status, expires_ms, document) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET status = excluded.status, expires_ms = excluded.expires_ms,"
            " document = excluded.document",
            (
                invoice.id,
                invoice.external_id,
                str(invoice.status),
                _ms(parse_stamp(invoice.expiry_date)),
                json.dumps(invoice.document()),
            ),
        )

    def get(self, invoice_id: str) -> Invoice | None:
        """Find an invoice by its id."""
        row = self._db.execute("SELECT document FROM invoices WHERE id = ?", (invoice_id,)).fetchone()
        return Invoice.from_document(json.loads(row[0])) if row else None

    def find(
        self,
        *,
        external_id: str | None = None,
        statuses: Sequence[str] = (),
        periods: Mapping[str, tuple[str, str]] | None = None,
        after: str | None = None,
        limit: int = -1,
    ) -> list[Invoice]:
        """List invoices, newest first; `after` is the id of the last invoice of the page before; -1 is no limit.

        `periods` maps a name of PERIODS to the first and the last time that match, written as `stamp` does.
        """
        where, values = ["1"], list[str | int]()
        if external_id is not None:
            where.append("external_id = ?")
            values.append(external_id)
        if statuses:
            where.append(f"status IN ({', '.join('?' * len(statuses))})")
            values.extend(statuses)
        for name, period in (periods or {}).items():
            where.append(f"{PERIODS[name]} BETWEEN ? AND ?")
            values.extend(period)
        if after is not None:
            where.append("seq < (SELECT seq FROM invoices WHERE id = ?)")
            values.append(after)
        sql = f"SELECT document FROM invoices WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?"
        rows = self._db.execute(sql, (*values, limit))
        return [Invoice.from_document(json.loads(row[0])) for row in rows]

    def due(self, now: datetime) -> list[Invoice]:
        """List the PENDING invoices whose time is over."""
        rows = self._db.execute(
            "SELECT document FROM invoices WHERE status = 'PENDING' AND expires_ms <= ? ORDER BY expires_ms",
            (_ms(now),),
        )
        return [Invoice.from_document(json.loads(row[0])) for row in rows]

    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """Count invoices by status and by external id."""
        by_status = self._db.execute("SELECT status, count(*) FROM invoices GROUP BY status")
        by_external_id = self._db.execute("SELECT external_id, count(*) FROM invoices GROUP BY external_id")
        return dict(by_status.fetchall()), dict(by_external_id.fetchall())

    def save_refund(self, refund: Refund) -> None:
        """Insert or update a refund."""
        self._db.execute(
            "INSERT INTO refunds (id, invoice_id, key, document) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET document = excluded.document",
            (refund.id, refund.draft.invoice_id, refund.key, json.dumps(refund.document())),
        )

    def refund(self, refund_id: str) -> Refund | None:
        """Find a refund by its id."""
        row = self._db.execute("SELECT document FROM refunds WHERE id = ?", (refund_id,)).fetchone()
        return Refund.from_document(json.loads(row[0])) if row else None

    def refund_of_key(self, key: str) -> Refund | None:
        """Find the refund that a call with this idempotency key has made."""
        row = self._db.execute("SELECT document FROM refunds WHERE key = ?", (key,)).fetchone()
        return Refund.from_document(json.loads(row[0])) if row else None

    def refunds(self, invoice_id: str | None = None) -> list[Refund]:
        """List refunds, oldest first, of one invoice or of all."""
        where, values = ("WHERE invoice_id = ?", (invoice_id,)) if invoice_id is not None else ("", ())
        rows = self._db.execute(f"SELECT document FROM refunds {where} ORDER BY seq", values)
        return [Refund.from_document(json.loads(row[0])) for row in rows]

    def save_webhook(self, webhook: Webhook) -> None:
        """Insert or update a webhook."""
        self._db.execute(
            "INSERT INTO webhooks (id, invoice_id, state, document) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET state = excluded.state, document = excluded.document",
            (webhook.id, webhook.invoice_id, webhook.state, json.dumps(asdict(webhook))),
        )

    def webhooks(self, invoice_id: str) -> list[Webhook]:
        """List the webhooks of an invoice, oldest first."""
        rows = self._db.execute("SELECT document FROM webhooks WHERE invoice_id = ? ORDER BY seq", (invoice_id,))
        return [Webhook(**json.loads(row[0])) for row in rows]

    def pending_webhooks(self) -> list[Webhook]:
        """List the pending webhooks, oldest first."""
        rows = self._db.execute("SELECT document FROM webhooks WHERE state = 'pending' ORDER BY seq")
        return [Webhook(**json.loads(row[0])) for row in rows]

    def webhook_counts(self) -> dict[str, int]:
        """Count webhooks by state."""
        return dict(self._db.execute("SELECT state, count(*) FROM webhooks GROUP BY state").fetchall())

    def add_delivery(self, delivery: dict[str, Any]) -> None:
        """Record one attempt to deliver."""
        self._db.execute(
            "INSERT INTO deliveries (invoice_id, document) VALUES (?, ?)",
            (delivery["invoice_id"], json.dumps(delivery)),
        )

    def deliveries(self, invoice_id: str | None = None) -> list[dict[str, Any]]:
        """List attempts to deliver, oldest first, of one invoice or of all."""
        where, values = ("WHERE invoice_id = ?", (invoice_id,)) if invoice_id is not None else ("", ())
        rows = self._db.execute(f"SELECT document FROM deliveries {where} ORDER BY seq", values)
        return [json.loads(row[0]) for row in rows]
