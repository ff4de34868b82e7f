"""The fixtures that all contract tests share: clients of the running stack, with data for every route."""

import json
from collections.abc import Iterator

import httpx2
import pytest

from fc.demo.shop import Customer, Shop
from fc.stack.layout import SERVICES
from fc.stack.local import Stack
from tests.contract.api import Api, Payment
from tests.contract.route_client import RouteClient, open_route_client
from tests.kit.back_office import BackOffice


@pytest.fixture(scope="session")
async def route_client(stack: Stack, client: httpx2.AsyncClient, shop: Shop, back_office: BackOffice) -> RouteClient:
    """Requests of all routes."""
    return await open_route_client(stack, client, shop, back_office)


@pytest.fixture(scope="session")
async def api(stack: Stack, client: httpx2.AsyncClient, shop: Shop) -> Api:
    """Single requests."""
    return await Api.opened(stack, client, shop)


@pytest.fixture(scope="module")
def no_failures(stack: Stack) -> Iterator[None]:
    """Check that meanwhile no service logged a failed request and none died."""
    before = {name: stack.layout.log(name).stat().st_size for name in SERVICES}
    processes = {row.name: row.pid for row in stack.status() if row.name in SERVICES}
    yield
    for name, size in before.items():
        with stack.layout.log(name).open("rb") as file:
            file.seek(size)
            lines = [line for line in file.read().decode().splitlines() if line.startswith("{")]
        failed = [line for line in lines if json.loads(line).get("event") == "request failed"]
        assert failed == []
    assert {row.name: row.pid for row in stack.status() if row.name in SERVICES} == processes


@pytest.fixture
async def payment(back_office: BackOffice, alice: Customer) -> Payment:
    """A payment of alice with an open invoice."""
    order = await alice.checkout(await back_office.product(stock=1), 1)
    return await alice.invoice(order)
