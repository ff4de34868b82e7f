"""Merges the sorted streams of all sources into one dossier per order id, in bounded memory."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from fc.audit.model import Dossier
from fc.audit.reading.queries import QUERIES
from fc.platform.snapshot import Snapshot

END = 2**63


class Stream:
    """One sorted source: `head` is the order id of the next record, END when there is none."""

    def __init__(self, field: str, batches: AsyncIterator[Sequence[Any]], record: Callable[..., Any]) -> None:
        self.field = field
        self.head = 0
        self._batches = batches
        self._record = record
        self._rows: Sequence[Any] = ()
        self._next = 0

    async def fill(self) -> None:
        """Read the next batch when no row of the last one is left."""
        if self._next >= len(self._rows):
            try:
                self._rows = await anext(self._batches)
            except StopAsyncIteration:
                self._rows = ()
            self._next = 0
        self.head = self._rows[self._next][0] if self._rows else END

    async def take(self, order_id: int) -> list[Any]:
        """Take all records of an order, which must be the next one."""
        records = []
        while self.head == order_id:
            records.append(self._record(*self._rows[self._next]))
            self._next += 1
            if self._next < len(self._rows):
                self.head = self._rows[self._next][0]
            else:
                await self.fill()
        return records


async def in_batches(rows: Iterator[Sequence[Any]]) -> AsyncIterator[Sequence[Any]]:
    """Turn an iterator of batches into an asynchronous one."""
    for batch in rows:
        yield batch


def streams_of(snapshot: Snapshot) -> list[Stream]:
    """Open a stream for every query; they share a connection per service and are read one after the other."""
    return [Stream(query.field, snapshot.batches(query.service, query.sql), query.record) for query in QUERIES]


async def dossiers(streams: Sequence[Stream]) -> AsyncIterator[Dossier]:
    """Merge the streams; order id 0 collects the records that name no order."""
    for stream in streams:
        await stream.fill()
    while (order_id := min(stream.head for stream in streams)) < END:
        dossier = Dossier(order_id)
        for stream in streams:
            if stream.head == order_id:
                getattr(dossier, stream.field).extend(await stream.take(order_id))
        yield dossier


async def batched(streams: Sequence[Stream], size: int) -> AsyncIterator[list[Dossier]]:
    """Return dossiers in lists of up to `size`."""
    batch: list[Dossier] = []
    async for dossier in dossiers(streams):
        batch.append(dossier)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
