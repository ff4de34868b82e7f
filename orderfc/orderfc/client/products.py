"""The client of productfc. Checkouts that wait share a read; time and number of reads are bounded."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import httpx2
import structlog
from pydantic import BaseModel, ValidationError

from chassis import telemetry
from chassis.batching import Batches
from chassis.config.tls import verification
from chassis.errors import Unavailable
from chassis.metrics import HttpCall
from orderfc.config import Settings
from orderfc.model import Product

log = structlog.get_logger(__name__)

_PATH = "/v1/products"
# As many products as productfc answers in one call.
MAX_IDS = 100
# Status codes that the products of one basket can cause: an invalid request, and a defect.
_OF_ONE_BASKET = frozenset({400, 500})


@dataclass(frozen=True, slots=True)
class _Question:
    """The products of a basket, at most MAX_IDS, and the trace headers of its request."""

    ids: Sequence[int]
    headers: dict[str, str]


class _NoAnswer(Exception):
    """productfc gave no valid answer. `of_one_basket` is true if the products of one basket may be the cause."""

    def __init__(self, outcome: str, detail: str, *, of_one_basket: bool = False) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.of_one_basket = of_one_basket


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
        self._host = settings.product_host
        self._timeout_s = settings.product_timeout_s
        self._slots = asyncio.Semaphore(settings.product_concurrency)
        self._calls = HttpCall(settings.product_host, "GET", _PATH)
        # One call at a time carries twice as many baskets as two.
        self._questions = Batches(self._ask_all, _is_of_one_basket, at_work=1)
        self._http = httpx2.AsyncClient(
            base_url=settings.product_host,
            verify=verification(settings.product_host),
            timeout=settings.product_timeout_s,
            limits=httpx2.Limits(
                max_connections=settings.product_concurrency, max_keepalive_connections=settings.product_concurrency
            ),
            transport=transport,
        )

    async def by_id(self, product_ids: Iterable[int]) -> dict[int, Product]:
        """Read at most 100 products; unknown ids are missing from the answer. Baskets that wait share a call.

        A request whose trace is recorded asks by itself, so that its trace is complete.
        Raises Unavailable without a valid answer within the time limit, which includes the wait for a free slot.
        """
        try:
            if telemetry.is_recorded():
                with telemetry.client_span("GET", _PATH, self._host):
                    return await self._ask(product_ids, telemetry.inject({}))
            question = _Question(tuple(product_ids), telemetry.inject({}))
            # Before its own call, a basket may wait for one of others.
            async with asyncio.timeout(self._timeout_s):
                return await self._questions.submit(question)
        except _NoAnswer as error:
            raise _unavailable(error) from error
        except TimeoutError as error:
            raise _unavailable(_NoAnswer("no_answer", f"TimeoutError: {error}")) from error

    async def _ask_all(self, questions: Sequence[_Question]) -> list[dict[int, Product]]:
        """Read the products of several baskets with as few calls as possible, in the trace of the first."""
        ids = list(dict.fromkeys(number for question in questions for number in question.ids))
        parts = [ids[start : start + MAX_IDS] for start in range(0, len(ids), MAX_IDS)]
        found: dict[int, Product] = {}
        for answer in await asyncio.gather(*(self._ask(part, questions[0].headers) for part in parts)):
            found |= answer
        return [{number: found[number] for number in question.ids if number in found} for question in questions]

    async def _ask(self, ids: Iterable[int], headers: Mapping[str, str]) -> dict[int, Product]:
        """Make one call. Raises _NoAnswer."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_s), self._slots:
                started = time.perf_counter()
                answer = await self._get(",".join(map(str, ids)), headers)
        except (httpx2.HTTPError, OSError, TimeoutError) as error:
            self._calls.ended(started, 0, type(error).__name__)
            raise _NoAnswer("no_answer", f"{type(error).__name__}: {error}") from error
        status = answer.status_code
        self._calls.ended(started, status)
        telemetry.set_http_status(status)
        if status != 200:
            raise _NoAnswer("refused", f"status {status}", of_one_basket=status in _OF_ONE_BASKET)
        try:
            batch = _Batch.model_validate_json(answer.content)
        except ValidationError as error:
            raise _NoAnswer("invalid_answer", f"{error.error_count()} fields do not fit", of_one_basket=True) from error
        return {item.id: Product(item.id, item.name, item.price, item.stock) for item in batch.products}

    async def _get(self, ids: str, headers: Mapping[str, str]) -> httpx2.Response:
        """Read, and try once more if the connection was closed: a replica that restarts closes its connections."""
        # As text: httpx2 takes twice as long to encode parameters.
        address = f"{_PATH}?ids={ids}"
        try:
            return await self._http.get(address, headers=headers)
        except (httpx2.NetworkError, httpx2.RemoteProtocolError):
            return await self._http.get(address, headers=headers)

    async def ping(self) -> None:
        """Raise httpx2.HTTPError when productfc does not answer."""
        answer = await self._http.get("/ping")
        answer.raise_for_status()

    async def close(self) -> None:
        await self._http.aclose()


def _is_of_one_basket(error: Exception) -> bool:
    return isinstance(error, _NoAnswer) and error.of_one_basket


def _unavailable(error: _NoAnswer) -> Unavailable:
    log.warning("productfc can't be asked", outcome=error.outcome, detail=str(error))
    return Unavailable("products can't be checked now, nothing was ordered; please try again")
