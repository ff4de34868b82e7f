"""What has no useful order or index where it comes from, kept in a temporary file: bounded memory for any amount."""

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
    event_id BLOB PRIMARY KEY, topic TEXT, partition INTEGER, "offset" INTEGER, time REAL, order_id INTEGER,
    own INTEGER) WITHOUT ROWID;
CREATE TABLE letters (
    event_id BLOB, service TEXT, place TEXT, order_id INTEGER, reason TEXT, error TEXT, time REAL);
CREATE INDEX letters_event_id ON letters (event_id);
CREATE TABLE documents (order_id INTEGER, event_id TEXT, event TEXT, about TEXT, time REAL);
CREATE TABLE invoices (
    order_id INTEGER, id TEXT, status TEXT, amount TEXT, currency TEXT, paid_amount TEXT, payments INTEGER,
    created REAL, updated REAL);
CREATE TABLE outbox_ids (event_id BLOB PRIMARY KEY) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A message on a topic; `own` tells that one of our services says that it has sent it."""

    event_id: UUID
    topic: str
    partition: int
    offset: int
    time: datetime
    order_id: int | None
    own: bool


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: who could not apply which event and why, and where it lies."""

    event_id: UUID
    service: str
    place: str
    order_id: int | None
    reason: str
    error: str
    time: datetime


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


class Spill:
    """A SQLite database in a temporary file that is gone when it is closed."""

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

    def _batches(self, sql: str) -> Iterator[list[Any]]:
        cursor = self._db.execute(sql)
        while rows := cursor.fetchmany(BATCH):
            yield rows

    def _among(self, sql: str, values: Sequence[Any]) -> Iterator[Any]:
        for start in range(0, len(values), BATCH):
            part = values[start : start + BATCH]
            yield from self._db.execute(sql.format(",".join("?" * len(part))), part)

    def add_messages(self, found: Sequence[Sighting]) -> None:
        """Keep where each event stands first; a repeat changes nothing."""
        rows = [
            (s.event_id.bytes, s.topic, s.partition, s.offset, s.time.timestamp(), s.order_id, s.own) for s in found
        ]
        self._many("INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def places(self, event_ids: Sequence[UUID]) -> dict[UUID, Place]:
        """Tell where events stand."""
        sql = 'SELECT event_id, topic, partition, "offset", order_id FROM messages WHERE event_id IN ({})'
        rows = self._among(sql, [event_id.bytes for event_id in event_ids])
        return {UUID(bytes=row[0]): Place(*row[1:]) for row in rows}

    def messages(self, topic: str, *, own: bool) -> Iterator[list[Sighting]]:
        """Give the messages of a topic in batches, those of our services or those of others."""
        where = f"WHERE topic = '{topic}' AND own = {int(own)}"
        sql = f'SELECT event_id, topic, partition, "offset", time, order_id, own FROM messages {where}'
        for rows in self._batches(sql):
            yield [Sighting(UUID(bytes=e), t, p, o, datetime.fromtimestamp(s, UTC), n, own) for e, t, p, o, s, n, _ in rows]  # fmt: skip

    def add_letters(self, found: Sequence[Letter]) -> None:
        """Keep dead letters."""
        rows = [
            (x.event_id.bytes, x.service, x.place, x.order_id, x.reason, x.error, x.time.timestamp()) for x in found
        ]
        self._many("INSERT INTO letters VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def letters(self) -> Iterator[list[Letter]]:
        """Give all dead letters, oldest first, in batches."""
        for rows in self._batches("SELECT * FROM letters ORDER BY time"):
            yield [Letter(UUID(bytes=e), s, p, n, r, x, datetime.fromtimestamp(t, UTC)) for e, s, p, n, r, x, t in rows]

    def lettered(self, event_ids: Sequence[UUID]) -> set[tuple[str, UUID]]:
        """Tell which (service, event) of these have a dead letter."""
        sql = "SELECT service, event_id FROM letters WHERE event_id IN ({})"
        return {(row[0], UUID(bytes=row[1])) for row in self._among(sql, [each.bytes for each in event_ids])}

    def add_documents(self, rows: Sequence[tuple[int, str, str, str | None, datetime]]) -> None:
        """Keep entries of the audit log: order id (0 for none), event id, event, published event, time."""
        self._many("INSERT INTO documents VALUES (?, ?, ?, ?, ?)", [(*row[:4], row[4].timestamp()) for row in rows])

    def documents(self) -> Iterator[list[tuple[int, str, str, str | None, datetime]]]:
        """Give the entries that name an order, in the order of order ids, in batches."""
        for rows in self._batches("SELECT * FROM documents WHERE order_id > 0 ORDER BY order_id"):
            yield [(*row[:4], datetime.fromtimestamp(row[4], UTC)) for row in rows]

    def add_invoices(self, found: Sequence[Invoice]) -> None:
        """Keep invoices."""
        rows = [
            (i.order_id, i.id, i.status, str(i.amount), i.currency, None if i.paid_amount is None else str(i.paid_amount),
             i.payments, _seconds(i.created), _seconds(i.updated))
            for i in found
        ]  # fmt: skip
        self._many("INSERT INTO invoices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def index_invoices(self) -> None:
        """Make invoices findable by order, once all are there."""
        self._db.execute("CREATE INDEX IF NOT EXISTS invoices_order_id ON invoices (order_id)")

    def invoices(self, order_ids: Sequence[int]) -> list[Invoice]:
        """Give the invoices of orders."""
        return [
            Invoice(row[0], row[1], row[2], Decimal(row[3]), row[4], None if row[5] is None else Decimal(row[5]), row[6],
                    _moment(row[7]), _moment(row[8]))
            for row in self._among("SELECT * FROM invoices WHERE order_id IN ({})", order_ids)
        ]  # fmt: skip

    def invoiced(self) -> Iterator[list[tuple[int]]]:
        """Give the ids of all orders that have an invoice, ascending, in batches."""
        yield from self._batches("SELECT DISTINCT order_id FROM invoices WHERE order_id > 0 ORDER BY order_id")

    def reused(self, event_ids: Sequence[UUID]) -> set[UUID]:
        """Remember the ids of outbox rows, and tell which of them were there before."""
        rows = [event_id.bytes for event_id in event_ids]
        seen = {row[0] for row in self._among("SELECT event_id FROM outbox_ids WHERE event_id IN ({})", rows)}
        twice = {row for row in rows if rows.count(row) > 1} if len(set(rows)) < len(rows) else set()
        self._many("INSERT OR IGNORE INTO outbox_ids VALUES (?)", [(row,) for row in rows])
        return {UUID(bytes=row) for row in seen | twice}
