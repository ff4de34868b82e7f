"""The stack of the fault tests, with a proxy before each part. It is separate because the audit covers all its data."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from fc.demo.seed import seed
from fc.demo.shop import Shop
from fc.stack.local import Stack
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.health import services_unharmed
from tests.chaos.kit.network import Network
from tests.chaos.kit.run import OVERRIDES
from tests.kit.bus import opened_bus
from tests.kit.selection import first_cases
from tests.kit.stacks import running


@pytest.fixture(scope="package")
def network() -> Network:
    return Network()


@pytest.fixture(scope="package")
def battlefield(tmp_path_factory: pytest.TempPathFactory, network: Network) -> Iterator[Stack]:
    """A stack that finds lost webhooks in seconds."""
    started = Stack.for_tests(Path(tmp_path_factory.mktemp("chaos")), OVERRIDES, network.between)
    with network.running(), running(started):
        yield started


@pytest.fixture(scope="package")
async def arena(battlefield: Stack, network: Network) -> AsyncIterator[Arena]:
    """The seeded stack with two customers logged in."""
    await seed(battlefield.urls(), battlefield.accounts())
    async with (
        httpx2.AsyncClient(timeout=20) as client,
        Shop.opened(battlefield.urls(), battlefield.accounts()) as shop,
        opened_bus(battlefield) as bus,
    ):
        opened = Arena(battlefield, network, client, shop, bus)
        await opened.login()
        yield opened


@pytest.fixture
def unharmed_services(arena: Arena) -> Iterator[None]:
    """Check that the requests of the test do the services no harm."""
    with services_unharmed(arena):
        yield


# Of these files every case runs always, but for those that are marked as long.
WHOLE = ("test_seeds.py", "test_promises.py")
# These make more orders than all others together, and every later audit would read them.
LAST = ("test_rolling_restarts.py", "test_saturation.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    first_cases(config, items, here, WHOLE)
    items.sort(key=lambda item: item.path.parent == here and item.path.name in LAST)
