"""The invoices of orders at Xendit, from its public API or from the simulator's list of all invoices."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

import httpx2

from fc.audit.model import Invoice
from fc.audit.reading.spill import BATCH, Spill
from fc.audit.refund_model import GivenBack
from fc.audit.watch import Watch
from fc.platform.errors import CouldNotCheck
from fc.platform.stores import XenditAddress
from fc.platform.topics import order_in

TIMEOUT_S = 30.0
MAX_REQUESTS = 8
TRIES = 5
MAX_WAIT_S = 60.0


class Gateway(Protocol):
    """The port: the audit looks up the invoices of many orders at a time."""

    async def prepare(self, watch: Watch) -> None:
        """Read what must be read beforehand; called once, after the databases' snapshot. Raises CouldNotCheck."""

    async def find(self, order_ids: Sequence[int]) -> list[Invoice]:
        """Return all invoices of these orders. Raises CouldNotCheck."""

    async def given_back(self, invoice_id: str) -> list[GivenBack]:
        """Return the refunds of an invoice. Raises CouldNotCheck."""

    def invoiced(self) -> Iterator[list[tuple[int]]]:
        """Return the ids of all orders with an invoice, ascending, in batches; nothing when they can't be listed."""

    async def close(self) -> None:
        """Close connections and files."""


def gateway_at(address: XenditAddress) -> Gateway:
    """Return the gateway for an address: the public API with a key, the simulator without one."""
    if address.secret_key is None:
        return XenditSimulator(address.base_url)
    return XenditApi(address.base_url, address.secret_key)


@asynccontextmanager
async def _failures() -> AsyncIterator[None]:
    try:
        yield
    except (httpx2.HTTPError, OSError, ValueError, ArithmeticError, KeyError) as error:
        raise CouldNotCheck(f"Xendit: {error!r}") from error


class XenditApi:
    """The public API: one request per order, repeated after a pause where the rate is limited."""

    def __init__(self, base_url: str, secret_key: str) -> None:
        self._client = httpx2.AsyncClient(
            base_url=base_url.rstrip("/"), auth=httpx2.BasicAuth(secret_key, ""), timeout=TIMEOUT_S, trust_env=False
        )
        self._slots = asyncio.Semaphore(MAX_REQUESTS)

    async def prepare(self, watch: Watch) -> None:
        """Read nothing: each order is looked up by its own request."""

    async def find(self, order_ids: Sequence[int]) -> list[Invoice]:
        """Look up each order by its external id."""
        async with _failures():
            by_order = await asyncio.gather(*(self._of(order_id) for order_id in order_ids))
        return [invoice for invoices in by_order for invoice in invoices]

    async def given_back(self, invoice_id: str) -> list[GivenBack]:
        """Look up the refunds of an invoice."""
        async with _failures():
            answer = await self._get("/refunds", invoice_id=invoice_id, limit=100)
            listed = _numbers(answer.content)["data"]
        return [given_back_of(body) for body in listed if body.get("invoice_id") == invoice_id]

    async def _get(self, path: str, **query: str | int) -> httpx2.Response:
        async with self._slots:
            for _ in range(TRIES):
                answer = await self._client.get(path, params=query)
                if answer.status_code != 429:
                    break
                await asyncio.sleep(min(float(answer.headers.get("Rate-Limit-Reset", 1)), MAX_WAIT_S))
        return answer.raise_for_status()

    async def _of(self, order_id: int) -> list[Invoice]:
        answer = await self._get("/v2/invoices", external_id=f"order-{order_id}", limit=100)
        # The filter is applied again here: a wrong one would give an order the invoices of another.
        return [invoice for invoice in map(invoice_of, _parsed(answer.content)) if invoice.order_id == order_id]

    def invoiced(self) -> Iterator[list[tuple[int]]]:
        """Return nothing: an account may hold years of other invoices."""
        yield from ()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class XenditSimulator:
    """The simulator's control API, which lists all invoices with their payments; read once into a temporary file."""

    def __init__(self, base_url: str) -> None:
        self._client = httpx2.AsyncClient(base_url=base_url.rstrip("/"), timeout=TIMEOUT_S, trust_env=False)
        self._spill = Spill()

    async def prepare(self, watch: Watch) -> None:
        """Read the list as it arrives, one invoice at a time."""
        watch.stage("reading Xendit's simulator")
        rows: list[Invoice] = []
        async with _failures(), self._client.stream("GET", "/_sim/invoices") as answer:
            answer.raise_for_status()
            async for body in _elements(answer.aiter_text()):
                rows.append(invoice_of(body))
                if len(rows) == BATCH:
                    self._spill.add_invoices(rows)
                    watch.advance(len(rows))
                    rows = []
        self._spill.add_invoices(rows)
        self._spill.index_invoices()
        watch.advance(len(rows))

    async def find(self, order_ids: Sequence[int]) -> list[Invoice]:
        """Look them up in the temporary file."""
        return self._spill.invoices(sorted(order_ids))

    async def given_back(self, invoice_id: str) -> list[GivenBack]:
        """Ask for the refunds of an invoice."""
        async with _failures():
            answer = (await self._client.get("/_sim/refunds", params={"invoice_id": invoice_id})).raise_for_status()
            return [given_back_of(body) for body in _numbers(answer.content)]

    def invoiced(self) -> Iterator[list[tuple[int]]]:
        """Return every order with an invoice at the simulator."""
        return self._spill.invoiced()

    async def close(self) -> None:
        """Close the connections and remove the temporary file."""
        await self._client.aclose()
        self._spill.close()


async def _elements(chunks: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    """Read a JSON array of objects piece by piece. Raises ValueError for anything else."""
    decoder = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal)
    buffer, at = "", 0
    async for chunk in chunks:
        buffer, at = buffer[at:] + chunk, 0
        while True:
            while at < len(buffer) and buffer[at] in "[,] \n\r\t":
                at += 1
            try:
                element, at = decoder.raw_decode(buffer, at)
            except ValueError:
                break
            yield element
    if buffer[at:].strip("[,] \n\r\t"):
        raise ValueError("the list of invoices ends in the middle")


def _numbers(content: bytes) -> Any:
    return json.loads(content, parse_float=Decimal, parse_int=Decimal)


def given_back_of(body: dict[str, Any]) -> GivenBack:
    """Read one refund; its numbers must be Decimal."""
    money = Decimal(body["amount"]), body.get("currency") or ""
    return GivenBack(body["id"], body.get("reference_id"), *money, body["status"])


def _parsed(content: bytes) -> list[dict[str, Any]]:
    invoices = _numbers(content)
    if not isinstance(invoices, list):
        raise ValueError("the list of invoices is not a list")
    return invoices


def invoice_of(body: dict[str, Any]) -> Invoice:
    """Read one invoice of the API or of the simulator's control API; its numbers must be Decimal or int."""
    received = body.get("payments") or []
    paid = body.get("paid_amount", received[0].get("paid_amount") if received else None)
    return Invoice(
        order_id=order_in(body["external_id"]) or 0,
        id=body["id"],
        status=body["status"],
        amount=Decimal(body["amount"]),
        currency=body.get("currency") or "",
        paid_amount=None if paid is None else Decimal(paid),
        payments=len(received),
        created=_time(body.get("created")),
        updated=_time(body.get("updated")),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
