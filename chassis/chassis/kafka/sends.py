"""Divides the relay's rows into sends: those of a partition as one Kafka batch, unless it was refused before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chassis.db.outbox_queue import OutboxRow
from chassis.events import wire_headers
from chassis.kafka import send_spans, sent
from chassis.kafka.producer import BATCH_BYTES, Producer, Record

Key = tuple[str, str]


def key_of(row: OutboxRow) -> Key:
    """Return the unit of order: of the events of one topic and key an earlier one is stored before a later one."""
    return row.topic, row.key


@dataclass(slots=True, eq=False)
class Send:
    """Rows that are acknowledged together, in id order. Without a partition it is one row, whose client finds it."""

    rows: list[OutboxRow]
    partition: int | None = None
    records: list[Record] = field(default_factory=list)
    size_bytes: int = 0

    def firsts(self) -> list[OutboxRow]:
        """Return the first row of each key: the one that the others of its key wait for."""
        return list({key_of(row): row for row in reversed(self.rows)}.values())[::-1]


@dataclass(slots=True)
class _Division:
    """Sends that may be in flight together, and the rows that wait for them.

    Of a key there is either one single row, or a run of rows in one batch. Keys in `closed` get no more rows.
    """

    singles: list[Send] = field(default_factory=list)
    batches: dict[tuple[str, int], Send] = field(default_factory=dict)
    rest: list[OutboxRow] = field(default_factory=list)
    closed: set[Key] = field(default_factory=set)
    _begun: set[Key] = field(default_factory=set)

    def add_single(self, key: Key, row: OutboxRow) -> None:
        self.closed.add(key)
        if key in self._begun:
            self.rest.append(row)
        else:
            self.singles.append(Send([row]))

    def add_record(self, key: Key, row: OutboxRow, record: Record, partition: int, size_bytes: int) -> bool:
        batch = self.batches.get((row.topic, partition))
        if batch is None:
            batch = self.batches[row.topic, partition] = Send([], partition)
        if batch.size_bytes + size_bytes > BATCH_BYTES:
            self.closed.add(key)
            self.rest.append(row)
            return False
        batch.rows.append(row)
        batch.records.append(record)
        batch.size_bytes += size_bytes
        self._begun.add(key)
        return True


class Sends:
    """Divides rows into sends, and carries a send out.

    A row whose batch was refused is alone in its next one. While the partitions of its topic are not known, or when it
    can't be encoded or is larger than a batch, a row is left to the producer.
    """

    def __init__(self, source: str, producer: Producer) -> None:
        self._source = source
        self._producer = producer
        self._apart: set[int] = set()
        # Partition and record of the rows that the last division had no room for, by id.
        self._left: dict[int, tuple[int, Record]] = {}

    def divide(self, rows: Sequence[OutboxRow]) -> tuple[list[Send], list[OutboxRow]]:
        """Divide rows in id order into sends that may be in flight together, and rows that wait for those."""
        division = _Division()
        left, self._left = self._left, {}
        for row in rows:
            key = key_of(row)
            if key in division.closed:
                division.rest.append(row)
                continue
            placed = left.get(row.id) or self._placed(row)
            if placed is None:
                division.add_single(key, row)
                continue
            partition, record = placed
            size_bytes = BATCH_BYTES if row.id in self._apart else record.size_bytes
            if not division.add_record(key, row, record, partition, size_bytes):
                self._left[row.id] = placed
        return [*division.singles, *division.batches.values()], division.rest

    def _placed(self, row: OutboxRow) -> tuple[int, Record] | None:
        """Return the partition and the record of a row that a batch can take."""
        partition = self._producer.partition_of(row.topic, row.key)
        if partition is None:
            return None
        try:
            record = self._encode(row)
        except Exception:
            return None  # In a send of its own it raises again, and this row alone has failed.
        return (partition, record) if record.size_bytes <= BATCH_BYTES else None

    def _encode(self, row: OutboxRow) -> Record:
        headers = wire_headers(self._source, row.event_id, row.topic, row.created_at, row.headers)
        encoded = [(name, value.encode()) for name, value in headers.items()]
        return Record.of(row.key.encode(), row.payload.encode(), encoded)

    async def carry_out(self, send: Send) -> None:
        """Send, and wait for the ack. Raises as Producer.send does."""
        topic = send.rows[0].topic
        if send.partition is not None:
            stored = await self._producer.send_batch(topic, send.partition, send.records)
        else:
            record = self._encode(send.rows[0])
            stored = await self._producer.send(topic, record.value, record.key, record.headers)
        sent.published(topic, [row.created_at for row in send.rows])
        send_spans.add(send.rows, stored)

    def keep_apart(self, rows: Iterable[OutboxRow]) -> None:
        """Give each of these rows a batch of its own: one of them is the reason why theirs was refused."""
        self._apart.update(row.id for row in rows)

    def forget(self, rows: Iterable[OutboxRow]) -> None:
        """Drop what is known of rows that were sent, or whose failure is recorded."""
        self._apart.difference_update(row.id for row in rows)

    def forget_all(self) -> None:
        self._apart.clear()
        self._left.clear()
