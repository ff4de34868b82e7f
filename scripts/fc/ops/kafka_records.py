"""Kafka for the commands: what it fails at is reported as StackError."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any, Self

from console.client import kafka_records
from console.client.admin_api import NoAnswer
from fc.stack.errors import StackError

CLIENT_ID = "fc-ops"
# Of each partition, in the search for a key: a tenth of a second's reading.
LOOKED_AT = 50_000


class KafkaRecords(kafka_records.KafkaRecords):
    """A connection that commits no offset and joins no group. Every call raises StackError when Kafka fails."""

    def __init__(self, address: str, **client: Any) -> None:
        super().__init__(CLIENT_ID, **client | {"bootstrap_servers": address})
        self._address = address

    @classmethod
    @asynccontextmanager
    async def opened(cls, address: str | None, **client: Any) -> AsyncIterator[Self]:
        """Connect, with further arguments of aiokafka's clients."""
        if address is None:
            raise StackError("no broker is configured: KAFKA_BROKER is empty")
        opened = cls(address, **client)
        try:
            await opened.connect()
            yield opened
        finally:
            await opened.close()

    async def of_key(self, topic: str, key: bytes, since: datetime, limit: int = LOOKED_AT) -> tuple[list[Any], bool]:
        """Return the records of a key that are on a topic now and not older than `since`, and whether all were read.

        It looks at `limit` records of each partition at most, because the number of partitions, and so the partition of
        a key, may have changed.
        """
        partitions = await self.partitions(topic)
        if not partitions:
            return [], True
        consumer, _ = await self._readers()
        with self._failures():
            ends = await consumer.end_offsets(partitions)
            begins = await consumer.offsets_for_times({each: int(since.timestamp() * 1000) for each in partitions})
        starts = {each: found.offset for each, found in begins.items() if found and found.offset < ends[each]}
        last = {each: min(ends[each], start + limit) for each, start in starts.items()}
        found = [record async for _, records, _ in self.records(starts, last) for record in records]
        return [record for record in found if record.key == key], all(last[each] == ends[each] for each in starts)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            with super()._failures():
                yield
        except NoAnswer as error:
            raise StackError(f"Kafka at {self._address}: {error}; `fc status` shows what runs") from error
