"""The client of productfc: one batch read per checkout, bounded in time and in number."""

import asyncio
from collections.abc import Iterable
from decimal import Decimal

import httpx2
import structlog
from prometheus_client import Counter
from pydantic import BaseModel, ValidationError

from chassis import telemetry
from chassis.errors import Unavailable
from orderfc.config import Settings
from orderfc.model import Product

log = structlog.get_logger(__name__)

CALLS = Counter("productfc_calls_total", "Batch reads of products by outcome", ["outcome"])


class _Item(BaseModel):
    id: int
    name: str
    price: Decimal
    stock: int


class _Batch(BaseModel):
    products: list[_Item]


class ProductClient:
    """Reads products over one shared keep-alive client, with the settings' time limit and concurrency."""

    def __init__(self, settings: Settings, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._timeout_s = settings.product_timeout_s
        self._slots = asyncio.Semaphore(settings.product_concurrency)
        self._http = httpx2.AsyncClient(
            base_url=settings.product_host,
            timeout=settings.product_timeout_s,
            limits=httpx2.Limits(
                max_connections=settings.product_concurrency, max_keepalive_connections=settings.product_concurrency
            ),
            transport=transport,
        )

    async def by_id(self, product_ids: Iterable[int]) -> dict[int, Product]:
        """Read at most 100 products in one call; unknown ids are missing from the answer.

        Raises Unavailable without a valid answer within the time limit, which includes the wait for a free slot.
        """
        ids = ",".join(str(product_id) for product_id in product_ids)
        try:
            async with asyncio.timeout(self._timeout_s), self._slots:
                answer = await self._get(ids)
        except (httpx2.HTTPError, OSError, TimeoutError) as error:
            raise _unavailable("no_answer", f"{type(error).__name__}: {error}") from error
        if answer.status_code != 200:
            raise _unavailable("refused", f"status {answer.status_code}")
        try:
            batch = _Batch.model_validate_json(answer.content)
        except ValidationError as error:
            raise _unavailable("invalid_answer", f"{error.error_count()} fields do not fit") from error
        CALLS.labels("answered").inc()
        return {item.id: Product(item.id, item.name, item.price, item.stock) for item in batch.products}

    async def _get(self, ids: str) -> httpx2.Response:
        """Read, and once more when the connection ended: a replica that restarts closes its connections."""
        try:
            return await self._http.get("/v1/products", params={"ids": ids}, headers=telemetry.inject({}))
        except (httpx2.NetworkError, httpx2.RemoteProtocolError):
            return await self._http.get("/v1/products", params={"ids": ids}, headers=telemetry.inject({}))

    async def ping(self) -> None:
        """Raise httpx2.HTTPError when productfc does not answer."""
        answer = await self._http.get("/ping")
        answer.raise_for_status()

    async def close(self) -> None:
        await self._http.aclose()


def _unavailable(outcome: str, detail: str) -> Unavailable:
    CALLS.labels(outcome).inc()
    log.warning("productfc can't be asked", outcome=outcome, detail=detail)
    return Unavailable("products can't be checked now, nothing was ordered; please try again")
