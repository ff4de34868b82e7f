"""One reading of an order's records for all who ask for it at the same moment."""

import asyncio
from datetime import datetime
from typing import Protocol

from console.model.facts import Record


class Records(Protocol):
    """Reads the records about an order."""

    async def of_order(self, order_id: int, since: datetime) -> tuple[list[Record], bool]:
        """Return the records about an order since it was placed, and whether all were read. Raises NoAnswer."""


class SharedRecords:
    """Concurrent requests for one order share one read. Reads run one at a time, so duplicates would queue."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._under_way: dict[int, asyncio.Task[tuple[list[Record], bool]]] = {}

    async def of_order(self, order_id: int, since: datetime) -> tuple[list[Record], bool]:
        """Return the records about an order since it was placed, and whether all were read. Raises NoAnswer."""
        reading = self._under_way.get(order_id)
        if reading is None:
            reading = self._under_way[order_id] = asyncio.create_task(self._records.of_order(order_id, since))
            reading.add_done_callback(lambda done: self._ended(order_id, done))
        # A caller that leaves must not end the reading for the others.
        return await asyncio.shield(reading)

    def _ended(self, order_id: int, reading: asyncio.Task[tuple[list[Record], bool]]) -> None:
        del self._under_way[order_id]
        # If all callers have left, the failure is read here, so that asyncio does not log it.
        if not reading.cancelled():
            reading.exception()
