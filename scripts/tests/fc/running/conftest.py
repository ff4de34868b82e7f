"""One real stack for all tests here: four servers, the simulator, four services and the console, on free ports."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from fc.demo.seed import seed
from fc.demo.shop import Customer, Shop
from fc.stack import processes
from fc.stack.layout import DEPLOYED, Layout
from fc.stack.local import HASTY, Stack

OVERRIDES = {
    "DISABLE_CREATE_INVOICE_DIRECTLY": "true",
    "SCHEDULER_PENDING_INTERVAL_S": "0.2",
    "KAFKA_PARTITIONS": "3",
}
BACK_S = 30


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack as tests have left it."""
    # What matters of its tries to reach a broker that is still starting is said by our own errors.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    stack = Stack.for_tests(tmp_path_factory.mktemp("stack"), OVERRIDES, console=True)
    try:
        yield stack
    finally:
        stack.down()
        stack.wipe()


@pytest.fixture
def stack(kept: Stack) -> Stack:
    """The stack, up: parts that an earlier test has stopped are started again."""
    kept.up()
    return kept


@pytest.fixture
def layout(kept: Stack) -> Layout:
    """The stack's own folder and ports, also for the commands that `fc` runs."""
    return kept.layout


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch, checkout: Path) -> dict[str, str]:
    """What this shell says is what the stack was started with."""
    settings = {**HASTY, **OVERRIDES}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return settings


def within(seconds: float, holds: Callable[[], object], what: str) -> None:
    """Poll until something holds. Raises AssertionError that names it after the deadline.

    The deadline is meant for a machine that is free for it; where others compute too, it is as many times longer.
    """
    seconds *= max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.05)


def ready(stack: Stack, service: str) -> bool:
    """Ask a service whether it is ready."""
    try:
        return bool(httpx2.get(f"{stack.layout.url(service)}/ready", timeout=3, trust_env=False).status_code == 200)
    except httpx2.HTTPError:
        return False


def all_ready(stack: Stack) -> bool:
    """Ask the services and the console whether they are ready."""
    return all(ready(stack, service) for service in DEPLOYED)


def pids(stack: Stack) -> dict[str, int]:
    """Return the process id of each part, the supervisor included."""
    found = {row.name: row.pid for row in stack.status()}
    return {**found, "supervisord": int((stack.home / "run" / "supervisord.pid").read_text())}


def family(stack: Stack) -> list[psutil.Process]:
    """Return every process of the stack, found by parent and by mark."""
    supervisord = psutil.Process(pids(stack)["supervisord"])
    found = {supervisord, *supervisord.children(recursive=True), *processes.of_stack(stack.home)}
    return sorted(found, key=lambda process: process.pid)


def alive(found: list[psutil.Process]) -> list[str]:
    """Describe those processes that still run."""
    return [str(process) for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


Story = Callable[[Shop, Customer], Awaitable[Any]]


class Buyer:
    """A customer in the seeded shop, one story at a time."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def tell(self, story: Story) -> Any:
        """Run a story with the shop and a customer who has just logged in; gives what it returns."""

        async def told() -> Any:
            await seed(self._stack.urls(), self._stack.accounts())
            async with Shop.opened(self._stack.urls(), self._stack.accounts()) as shop:
                return await story(shop, await shop.login("alice"))

        return asyncio.run(told())

    def order(self) -> int:
        """Place an order, which waits for its payment."""

        async def story(shop: Shop, alice: Customer) -> int:
            order = await alice.checkout(await shop.product("Notebook A5"), 1)
            await alice.invoice(order)
            return order

        return int(self.tell(story))

    def pay(self, order: int) -> None:
        """Pay an order and wait until it is completed."""

        async def story(shop: Shop, alice: Customer) -> None:
            await shop.pay((await alice.invoice(order))["invoice_id"])
            await alice.wait_status(order, "completed", 40)

        self.tell(story)

    def seen(self, order: int) -> dict[str, Any]:
        """Read an order and its payment."""

        async def story(_shop: Shop, alice: Customer) -> dict[str, Any]:
            return {"order": await alice.order(order), "payment": await alice.payment(order)}

        return dict(self.tell(story))


@pytest.fixture
def buyer(stack: Stack) -> Buyer:
    """A customer who buys."""
    return Buyer(stack)
