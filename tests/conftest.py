"""One stack for the whole session on free ports, removed at the end."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from fc.demo.seed import seed
from fc.demo.shop import Customer, Shop
from fc.stack.local import Stack
from tests.kit.back_office import BackOffice
from tests.kit.bus import Bus, opened_bus
from tests.kit.otlp_sink import OtlpSink
from tests.kit.stacks import SECRETS, running

# They need a Docker engine, or a cluster: `make test-compose`, `make test-kind`.
collect_ignore = [name for name in ("compose", "kind") if os.environ.get(f"TEST_{name.upper()}") != "1"]


@pytest.fixture(scope="session")
def sink() -> Iterator[OtlpSink]:
    """The server to which the services send their spans."""
    with OtlpSink() as opened:
        yield opened


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, sink: OtlpSink) -> Iterator[Stack]:
    """Start servers, services, console and the simulator on free ports."""
    started = Stack.for_tests(
        Path(tmp_path_factory.mktemp("stack")),
        {**SECRETS, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint, "LOG_LEVEL": "DEBUG"},
        console=True,
    )
    with running(started):
        yield started


@pytest.fixture(scope="session")
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    """One HTTP client for the session."""
    async with httpx2.AsyncClient(timeout=10) as opened:
        yield opened


@pytest.fixture(scope="session")
async def shop(stack: Stack) -> AsyncIterator[Shop]:
    """The seeded shop."""
    await seed(stack.urls(), stack.accounts())
    async with Shop.opened(stack.urls(), stack.accounts()) as opened:
        yield opened


@pytest.fixture(scope="session")
async def alice(shop: Shop) -> Customer:
    """A customer who is logged in."""
    return await shop.login("alice")


@pytest.fixture(scope="session")
async def bob(shop: Shop) -> Customer:
    """Another customer who is logged in."""
    return await shop.login("bob")


@pytest.fixture(scope="session")
async def back_office(stack: Stack, shop: Shop, client: httpx2.AsyncClient) -> BackOffice:
    return BackOffice(stack, shop, client)


@pytest.fixture(scope="session")
async def bus(stack: Stack) -> AsyncIterator[Bus]:
    """The broker of the stack."""
    async with opened_bus(stack) as opened:
        yield opened
