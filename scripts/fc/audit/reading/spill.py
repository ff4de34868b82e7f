"""A temporary SQLite file for records that their source can neither sort nor index: it keeps memory bounded."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from fc.audit.model import Invoice
from fc.audit.rules.rule import Place

BATCH = 2_000
_SCHEMA = """
CREATE TABLE messages (
    identity BLOB PRIMARY KEY, event_id TEXT, topic TEXT, partition INTEGER, "offset" INTEGER, time REAL,
    order_id INTEGER, own INTEGER) WITHOUT ROWID;
CREATE TABLE letters (
    identity BLOB, event_id TEXT, service TEXT, place TEXT, order_id INTEGER, reason TEXT, error TEXT, time REAL);
CREATE INDEX letters_identity ON letters (identity);
CREATE TABLE documents (
    order_id INTEGER, event_id TEXT, event TEXT, about TEXT, time REAL, prev_hash TEXT, hash TEXT, genuine INTEGER);
CREATE TABLE invoices (
    order_id INTEGER, id TEXT, status TEXT, amount TEXT, currency TEXT, paid_amount TEXT, payments INTEGER,
    created REAL, updated REAL);
CREATE TABLE outbox_ids (event_id BLOB PRIMARY KEY) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A message on a topic; `own` when its headers name a service of this platform as its source."""

    identity: UUID
    event_id: str
    topic: str
    partition: int
    offset: int
    time: datetime
    order_id: int | None
    own: bool


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: the service that could not apply the event, the reason, and the place of the record."""

    identity: UUID
    event_id: str
    service: str
    place: str
    order_id: int | None
    reason: str
    error: str
    time: datetime


LogEntry = tuple[int, str, str, str | None, datetime, str | None, str | None, bool]
"""An entry of the audit log: order id (0 for none), event id, event, id of the published event, time, both hashes, and
whether the content has its hash."""


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else _utc(seconds)


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _invoice_row(invoice: Invoice) -> tuple[Any, ...]:
    paid = None if invoice.paid_amount is None else str(invoice.paid_amount)
    times = (_seconds(invoice.created), _seconds(invoice.updated))
    head = (invoice.order_id, invoice.id, invoice.status, str(invoice.amount), invoice.currency)
    return (*head, paid, invoice.payments, *times)


def _invoice(row: tuple[Any, ...]) -> Invoice:
    order_id, invoice_id, status, amount, currency, paid, payments, created, updated = row
    paid_amount = None if paid is None else Decimal(paid)
    times = (_moment(created), _moment(updated))
    return Invoice(order_id, invoice_id, status, Decimal(amount), currency, paid_amount, payments, *times)


class Spill:
    """The file. It is removed when it is closed."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA cache_size = -32768")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Remove the file."""
        self._db.close()

    def _many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        self._db.execute("BEGIN")
        self._db.executemany(sql, rows)
        self._db.execute("COMMIT")

    def _batches(self, sql: str, *values: Any) -> Iterator[list[Any]]:
        cursor = self._db.execute(sql, values)
        while rows := cursor.fetchmany(BATCH):
            yield rows

    def _among(self, sql: str, values: Sequence[Any]) -> Iterator[Any]:
        for start in range(0, len(values), BATCH):
            part = values[start : start + BATCH]
            yield from self._db.execute(sql.format(",".join("?" * len(part))), part)

    def add_messages(self, messages: Sequence[Sighting]) -> None:
        """Keep the first place of each event; a repetition changes nothing."""
        rows = [
            (
                each.identity.bytes,
                each.event_id,
                each.topic,
                each.partition,
                each.offset,
                each.time.timestamp(),
                each.order_id,
                each.own,
            )
            for each in messages
        ]
        self._many("INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def places(self, identities: Sequence[UUID]) -> dict[UUID, Place]:
        sql = 'SELECT identity, topic, partition, "offset", order_id FROM messages WHERE identity IN ({})'
        rows = self._among(sql, [identity.bytes for identity in identities])
        return {UUID(bytes=row[0]): Place(*row[1:]) for row in rows}

    def messages(self, topic: str, *, own: bool) -> Iterator[list[Sighting]]:
        """Return the messages of a topic in batches: those of this platform, or those of other systems."""
        sql = 'SELECT identity, event_id, topic, partition, "offset", time, order_id FROM messages'
        for rows in self._batches(f"{sql} WHERE topic = ? AND own = ?", topic, own):
            yield [
                Sighting(UUID(bytes=identity), event_id, topic, partition, offset, _utc(time), order_id, own)
                for identity, event_id, topic, partition, offset, time, order_id in rows
            ]

    def add_letters(self, letters: Sequence[Letter]) -> None:
        rows = [
            (
                each.identity.bytes,
                each.event_id,
                each.service,
                each.place,
                each.order_id,
                each.reason,
                each.error,
                each.time.timestamp(),
            )
            for each in letters
        ]
        self._many("INSERT INTO letters VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def letters(self) -> Iterator[list[Letter]]:
        """Return all dead letters in batches, oldest first."""
        for rows in self._batches("SELECT * FROM letters ORDER BY time"):
            yield [
                Letter(UUID(bytes=identity), event_id, service, place, order_id, reason, error, _utc(time))
                for identity, event_id, service, place, order_id, reason, error, time in rows
            ]

    def lettered(self, identities: Sequence[UUID]) -> set[tuple[str, UUID]]:
        """Return the (service, event) of these events that have a dead letter."""
        sql = "SELECT service, identity FROM letters WHERE identity IN ({})"
        return {(row[0], UUID(bytes=row[1])) for row in self._among(sql, [each.bytes for each in identities])}

    def add_documents(self, entries: Sequence[LogEntry]) -> None:
        rows = [(*row[:4], row[4].timestamp(), *row[5:]) for row in entries]
        self._many("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def documents(self) -> Iterator[list[LogEntry]]:
        """Return the entries by order id, in batches."""
        for rows in self._batches("SELECT * FROM documents ORDER BY order_id"):
            yield [(*row[:4], _utc(row[4]), *row[5:7], bool(row[7])) for row in rows]

    def add_invoices(self, invoices: Sequence[Invoice]) -> None:
        self._many("INSERT INTO invoices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [_invoice_row(each) for each in invoices])

    def index_invoices(self) -> None:
        """Index invoices by order, once all of them are added."""
        self._db.execute("CREATE INDEX IF NOT EXISTS invoices_order_id ON invoices (order_id)")

    def invoices(self, order_ids: Sequence[int]) -> list[Invoice]:
        return [_invoice(row) for row in self._among("SELECT * FROM invoices WHERE order_id IN ({})", order_ids)]

    def invoiced(self) -> Iterator[list[tuple[int]]]:
        """Return the ids of all orders that have an invoice, ascending, in batches."""
        yield from self._batches("SELECT DISTINCT order_id FROM invoices WHERE order_id > 0 ORDER BY order_id")

    def reused(self, event_ids: Sequence[UUID]) -> set[UUID]:
        """Add ids of outbox rows, and return those that were added before."""
        rows = [event_id.bytes for event_id in event_ids]
        seen = {row[0] for row in self._among("SELECT event_id FROM outbox_ids WHERE event_id IN ({})", rows)}
        twice = {row for row in rows if rows.count(row) > 1} if len(set(rows)) < len(rows) else set()
        self._many("INSERT OR IGNORE INTO outbox_ids VALUES (?)", [(row,) for row in rows])
        return {UUID(bytes=row) for row in seen | twice}
