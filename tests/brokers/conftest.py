"""A stack with three brokers for all tests here: the audit covers all its data."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from fc.demo.seed import seed
from fc.demo.shop import Shop
from fc.stack.local import Stack
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.network import Network
from tests.chaos.kit.run import OVERRIDES
from tests.kit.bus import opened_bus
from tests.kit.selection import first_cases
from tests.kit.stacks import running

# Each wait of a test has a deadline, and all together have more than 180 s.
TEST_S = 600


@pytest.fixture(scope="package")
def three_brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with three brokers, which the services reach without a proxy."""
    with running(Stack.for_tests(Path(tmp_path_factory.mktemp("brokers")), OVERRIDES, brokers=3)) as stack:
        yield stack


@pytest.fixture(scope="package")
async def arena(three_brokers: Stack) -> AsyncIterator[Arena]:
    """The seeded stack with two customers logged in."""
    await seed(three_brokers.urls(), three_brokers.accounts())
    network = Network()
    with network.running():
        async with (
            httpx2.AsyncClient(timeout=20) as client,
            Shop.opened(three_brokers.urls(), three_brokers.accounts()) as shop,
            opened_bus(three_brokers) as bus,
        ):
            opened = Arena(three_brokers, network, client, shop, bus)
            await opened.login()
            yield opened


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    first_cases(config, items, here)
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(TEST_S))
