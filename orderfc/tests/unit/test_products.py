"""The client of productfc: baskets that wait share a call, and none is answered or refused for another."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import httpx2
import pytest
from prometheus_client import REGISTRY

from chassis import telemetry
from chassis.errors import Unavailable
from orderfc.client.products import MAX_IDS, ProductClient
from orderfc.config import Settings
from orderfc.model import Product
from testkit import eventually


class Productfc:
    """Knows every product but 404; its price is its number. `answers` come first: the next calls get them."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.traces: list[str] = []
        self.refuse: Callable[[list[int]], int] = lambda ids: 200
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        ids = [int(part) for part in request.url.params["ids"].split(",")]
        self.calls.append(ids)
        self.traces.append(request.headers["traceparent"])
        await self.gate.wait()
        assert len(ids) <= MAX_IDS, "productfc refuses more"
        shelf = [{"id": n, "name": f"product {n}", "price": n, "stock": 5} for n in ids if n != 404]
        return httpx2.Response(self.refuse(ids), json={"products": shelf})


@pytest.fixture
def productfc() -> Productfc:
    return Productfc()


@pytest.fixture
async def client(productfc: Productfc) -> AsyncIterator[ProductClient]:
    client = ProductClient(Settings(product_timeout_s=0.5), httpx2.MockTransport(productfc))
    yield client
    await client.close()


async def read(client: ProductClient, ids: Sequence[int]) -> dict[int, Product]:
    """Ask as a request does: inside a span."""
    with telemetry.tracing.span("request"):
        return await client.by_id(ids)


async def read_all(client: ProductClient, *baskets: Sequence[int]) -> list[dict[int, Product] | BaseException]:
    async with asyncio.timeout(5):
        return await asyncio.gather(*(read(client, basket) for basket in baskets), return_exceptions=True)


def of(products: dict[int, Product] | BaseException) -> list[int] | type:
    return [product.id for product in products.values()] if isinstance(products, dict) else type(products)


async def test_baskets_that_wait_together_are_one_call_and_each_gets_its_own_products(
    client: ProductClient, productfc: Productfc
) -> None:
    found = await read_all(client, [1, 2], [2, 404], [3])
    assert [of(products) for products in found] == [[1, 2], [2], [3]]
    assert productfc.calls == [[1, 2, 404, 3]]


async def test_no_call_asks_for_more_products_than_productfc_answers(
    client: ProductClient, productfc: Productfc
) -> None:
    baskets = [list(range(start, start + 60)) for start in range(1000, 1600, 60)]
    found = await read_all(client, *baskets)
    assert [of(products) for products in found] == baskets
    assert [len(call) for call in productfc.calls] == [MAX_IDS] * 6


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("position", [0, 1, 2])
async def test_a_basket_that_productfc_can_not_answer_does_not_spoil_the_others(
    client: ProductClient, productfc: Productfc, status: int, position: int
) -> None:
    productfc.refuse = lambda ids: status if 13 in ids else 200
    baskets = [[1], [2]]
    baskets.insert(position, [13])
    expected: list[list[int] | type] = [[1], [2]]
    expected.insert(position, Unavailable)
    assert [of(products) for products in await read_all(client, *baskets)] == expected
    assert len(productfc.calls) == 4


@pytest.mark.parametrize("status", [429, 503])
async def test_a_productfc_that_can_not_serve_now_is_not_asked_again_for_each_basket(
    client: ProductClient, productfc: Productfc, status: int
) -> None:
    productfc.refuse = lambda ids: status
    assert [of(products) for products in await read_all(client, [1], [2], [3])] == [Unavailable] * 3
    assert len(productfc.calls) == 1


async def test_a_silent_productfc_is_unavailable_for_all_within_the_time_limit_and_then_asked_again(
    client: ProductClient, productfc: Productfc
) -> None:
    productfc.gate.clear()
    assert [of(products) for products in await read_all(client, *([n] for n in range(1, 9)))] == [Unavailable] * 8
    productfc.gate.set()
    assert of(await read(client, [7])) == [7]


@pytest.mark.parametrize("recorded", [False, True])
async def test_a_call_that_was_not_answered_in_time_is_counted_also_when_its_trace_is_recorded(
    client: ProductClient, productfc: Productfc, monkeypatch: pytest.MonkeyPatch, recorded: bool
) -> None:
    def counted() -> float:
        labels = {
            "server_address": "localhost",
            "http_request_method": "GET",
            "url_template": "/v1/products",
            "http_response_status_code": "",
            "error_type": "TimeoutError",
        }
        return REGISTRY.get_sample_value("http_client_request_duration_seconds_count", labels) or 0

    before = counted()
    monkeypatch.setattr(telemetry, "is_recorded", lambda: recorded)
    productfc.gate.clear()
    assert [of(products) for products in await read_all(client, [1])] == [Unavailable]
    await eventually(lambda: counted() == before + 1)


async def test_one_call_that_hangs_holds_up_no_other(client: ProductClient, productfc: Productfc) -> None:
    productfc.gate.clear()
    hanging = [asyncio.create_task(read(client, [number])) for number in (1, 2)]
    while not productfc.calls:
        await asyncio.sleep(0)
    productfc.gate = asyncio.Event()
    productfc.gate.set()
    assert [of(products) for products in await read_all(client, [3], [4])] == [[3], [4]]
    assert not any(task.done() for task in hanging)
    await asyncio.gather(*hanging, return_exceptions=True)


async def test_a_cancelled_checkout_does_not_cancel_the_call_of_the_others(
    client: ProductClient, productfc: Productfc
) -> None:
    productfc.gate.clear()
    tasks = [asyncio.create_task(read(client, [number])) for number in (1, 2, 3)]
    while not productfc.calls:
        await asyncio.sleep(0)
    tasks[0].cancel()
    productfc.gate.set()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [of(end) for end in ends] == [asyncio.CancelledError, [2], [3]]
    assert productfc.calls == [[1, 2, 3]]


async def test_a_call_for_several_is_in_the_trace_of_the_first_and_a_recorded_request_asks_by_itself(
    client: ProductClient, productfc: Productfc, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def traced(number: int) -> str:
        with telemetry.tracing.span("request"):
            await client.by_id([number])
            return telemetry.inject({})["traceparent"].split("-")[1]

    traces = await asyncio.gather(traced(1), traced(2))
    assert len(productfc.traces) == 1
    assert traces[0] in productfc.traces[0]
    productfc.traces.clear()
    monkeypatch.setattr(telemetry, "is_recorded", lambda: True)
    traces = await asyncio.gather(traced(3), traced(4))
    assert [sent.split("-")[1] for sent in productfc.traces] == list(traces)
