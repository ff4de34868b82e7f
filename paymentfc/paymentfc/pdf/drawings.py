"""The PDFs of invoices: drawn in a process beside the service, in a bounded queue, and kept while they fit."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

from paymentfc.errors import DrawingUnavailable
from paymentfc.model.document import InvoiceDocument
from paymentfc.model.payment import Payment
from paymentfc.pdf.contents import contents

# A payment's row, in one of its states.
Key = tuple[int, datetime]
Describe = Callable[[], Awaitable[InvoiceDocument]]


class Draw(Protocol):
    """What makes a PDF of contents; see DrawingProcess."""

    async def draw(self, contents: bytes) -> bytes:
        """Return the PDF."""

    async def close(self) -> None:
        """Give up what is being drawn."""


class Drawings:
    """Draws each state of an invoice once, for all who ask for it at the same time."""

    def __init__(self, process: Draw, max_queue: int, max_wait_s: float, cache_bytes: int) -> None:
        self._process = process
        self._max_wait_s = max_wait_s
        self._max_queue = max_queue
        self._cache = _Cache(cache_bytes)
        self._drawing: dict[Key, asyncio.Task[bytes]] = {}

    async def pdf(self, payment: Payment, describe: Describe) -> bytes:
        """Return the PDF of a payment's invoice.

        Raises DrawingUnavailable when too many wait, or this one waits too long: it is drawn and kept all the same.
        """
        key = (payment.id, payment.update_time)
        if (kept := self._cache.get(key)) is not None:
            return kept
        task = self._drawing.get(key)
        if task is None:
            if len(self._drawing) >= self._max_queue:
                raise DrawingUnavailable("too many invoices wait to be drawn")
            task = self._drawing[key] = asyncio.create_task(self._draw(key, describe))
            task.add_done_callback(lambda done: self._finished(key, done))
        try:
            # The caller may hang up, others wait for the same drawing.
            return await asyncio.wait_for(asyncio.shield(task), self._max_wait_s)
        except TimeoutError:
            raise DrawingUnavailable("the invoice waits to be drawn") from None

    async def close(self) -> None:
        for task in [*self._drawing.values()]:
            task.cancel()
        await self._process.close()

    async def _draw(self, key: Key, describe: Describe) -> bytes:
        invoice = await describe()
        pdf = await self._process.draw(contents(invoice))
        if invoice.complete:
            self._cache.put(key, pdf)
        return pdf

    def _finished(self, key: Key, task: asyncio.Task[bytes]) -> None:
        del self._drawing[key]
        # Read, so that an error is not reported as lost when every caller has hung up.
        if not task.cancelled():
            task.exception()


class _Cache:
    """Keeps the values used last, up to a number of bytes in all."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._values: OrderedDict[Key, bytes] = OrderedDict()

    def get(self, key: Key) -> bytes | None:
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def put(self, key: Key, value: bytes) -> None:
        self._values[key] = value
        self._bytes += len(value)
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._values.popitem(last=False)[1])
