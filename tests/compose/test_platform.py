"""The platform in containers in its ordinary course: stories, audit, status, ports, memory, down and up with data."""

import re
import socket

import httpx2
import pytest

from fc.demo.shop import Customer, Shop
from fc.stack.containers import HEALTHY
from fc.stack.layout import SERVICES
from tests.compose.kit.orders import order_through
from tests.compose.kit.platform import Platform
from tests.compose.kit.record import Record
from tests.contract.compose import is_job, resolved

MEDIAN = re.compile(r"median (\d+) ms, slowest (\d+) ms")
# Also this machine, but not the address on which the ports are published.
OTHER_LOOPBACK = "127.0.0.2"


def test_the_stories_of_the_demo_pass_and_the_audit_finds_nothing(platform: Platform, record: Record) -> None:
    said = platform.fc("demo").stdout
    assert "The stack is already running, all four services are ready." in said
    assert "All six stories passed." in said
    [(median, slowest)] = MEDIAN.findall(said)
    record.step("`fc demo`: six stories", f"passed; 20 orders to completed: median {median} ms, slowest {slowest} ms")
    record.memory.update(platform.memory())
    together = sum(record.memory[name] for name in SERVICES)
    record.step("memory of the four services together, after the stories", f"{together:.0f} MiB")
    record.step("`fc audit` after the stories", platform.audited())


def test_status_names_every_container_and_says_that_all_run(platform: Platform) -> None:
    rows = [line.split() for line in platform.fc("status").stdout.splitlines()]
    states = {words[0]: words[1] for words in rows}
    for name, one in resolved()["services"].items():
        if not one.get("profiles"):
            assert states[name] == ("done" if is_job(one) else HEALTHY)


def test_every_port_is_published_on_this_machine_alone(platform: Platform, record: Record) -> None:
    found = {address for one in platform.containers().values() for address in platform.addresses(one.id)}
    assert found == {"127.0.0.1"}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((OTHER_LOOPBACK, 28082), 5)
    record.step("without BIND_ADDRESS", "every port is published on 127.0.0.1 alone")


async def test_what_was_bought_is_there_after_down_and_up(
    platform: Platform, shop: Shop, buyer: Customer, record: Record
) -> None:
    order = await order_through(shop, buyer, await shop.product("Ceramic Mug"))
    before = await buyer.order(order)
    platform.down()
    assert platform.containers() == {}
    with pytest.raises(httpx2.TransportError):
        await buyer.order(order)
    seconds = platform.up()
    assert await buyer.order(order) == before
    await order_through(shop, buyer, await shop.product("Ceramic Mug"))
    record.step("`fc down`, `fc up` with the data", f"{seconds:.0f} s; the order from before is as it was")
    record.step("`fc audit` after that", platform.audited())
