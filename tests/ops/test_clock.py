"""`fc clock advance` on a stack: what a later hour brings comes at once, in every service, and the books stay exact."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from fc.demo.seed import seed
from fc.demo.shop import Customer, Shop, poll
from fc.stack.layout import SERVICES
from fc.stack.local import Stack
from tests.kit import processes
from tests.kit.back_office import BackOffice
from tests.kit.clock import Moving
from tests.kit.stacks import SECRETS, running

pytestmark = pytest.mark.e2e

# The intervals of an installation: what comes within seconds, the clock has brought. A retry waits half a minute.
INTERVALS = {
    "SCHEDULER_RETRY_INTERVAL_S": "5",
    "SCHEDULER_EXPIRY_INTERVAL_S": "10",
    "PAYMENT_RETRY_BACKOFF_S": "60",
}
# Service, table and time of rows that are kept for 14 days at most.
KEPT_SHORTLY = (
    ("orderfc", "outbox", "published_at"),
    ("orderfc", "inbox", "received_at"),
    ("orderfc", "idempotency_keys", "created_at"),
    ("productfc", "inbox", "received_at"),
    ("paymentfc", "outbox", "published_at"),
    ("paymentfc", "inbox", "received_at"),
)
EVENT_TIME = "SELECT payload->>'event_time' FROM outbox WHERE topic = 'stock.updated' AND key = $1"
# How far the database's now() is ahead of the machine, and column defaults that still read the machine's clock.
AHEAD = "SELECT extract(epoch FROM now() - statement_timestamp())::float8"
UNMOVED = "SELECT adrelid::regclass FROM pg_attrdef WHERE pg_get_expr(adbin, adrelid) LIKE 'pg_catalog.%'"


@pytest.fixture(scope="module")
def stack_with_clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start a stack with the intervals of an installation."""
    with running(Stack.for_tests(Path(tmp_path_factory.mktemp("clock")), {**SECRETS, **INTERVALS})) as started:
        yield started


@pytest.fixture
async def moving(stack_with_clock: Stack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Moving]:
    monkeypatch.setenv("FC_NATIVE", "1")
    stack = stack_with_clock
    monkeypatch.setenv("FC_HOME", str(stack.home))
    monkeypatch.setenv("FC_PORT_OFFSET", str(stack.layout.offset))
    await seed(stack.urls(), stack.accounts())
    async with (
        httpx2.AsyncClient(timeout=10) as client,
        Shop.opened(stack.urls(), stack.accounts()) as shop,
    ):
        yield Moving(stack, shop, BackOffice(stack, shop, client), client)


async def test_an_order_that_nobody_pays_expires_when_a_day_has_passed_and_its_stock_is_back(moving: Moving) -> None:
    alice, product = await moving.shop.login("alice"), await moving.back_office.product(stock=5)
    order = await alice.checkout(product, 2)
    ends = datetime.fromisoformat((await alice.invoice(order))["expires_at"])
    await moving.back_office.wait_stock(product, 3)
    # Nobody tells paymentfc: the sweep finds it.
    async with moving.back_office.faults({"expired_webhooks": False}):
        await moving.advance("24h")
        alice = await moving.shop.login("alice")
        await alice.wait_status(order, "cancelled")
    await moving.back_office.wait_stock(product, 5)
    payment, shown = await alice.payment(order), await alice.order(order)
    assert payment["status"] == "EXPIRED"
    cancelled = datetime.fromisoformat(shown["history"][-1]["timestamp"])
    assert ends <= cancelled < ends + timedelta(minutes=1), "the history has the time of the stack's clock"
    await moving.exact()


async def test_an_invoice_that_waits_for_its_next_try_is_made_at_once(moving: Moving) -> None:
    alice, product = await moving.shop.login("alice"), await moving.back_office.product(stock=5)
    left = "SELECT extract(epoch FROM next_attempt_at - now())::float8 FROM payment_requests WHERE order_id = $1"
    async with moving.back_office.faults({"create_status": 503}):
        order = await alice.checkout(product, 1)

        async def waits() -> bool:
            return (await moving.value("paymentfc", left, order) or 0) > 20

        await poll(waits, "the first try has failed")
    assert (await alice.payment(order)).get("invoice_url") is None
    await moving.advance("2m")
    await moving.shop.pay((await alice.invoice(order))["invoice_id"])
    await alice.wait_status(order, "completed")
    await moving.exact()


async def test_an_order_that_gets_no_invoice_is_given_up_when_its_time_is_over(moving: Moving) -> None:
    alice, product = await moving.shop.login("alice"), await moving.back_office.product(stock=5)
    async with moving.back_office.faults({"create_status": 503}):
        order = await alice.checkout(product, 1)
        await alice.wait_payment(order, "PENDING")
        await moving.advance("16m")
        await alice.wait_status(order, "cancelled")
    await moving.back_office.wait_stock(product, 5)
    await moving.exact()


async def test_a_call_to_xendit_that_takes_its_time_is_not_made_a_second_time(moving: Moving) -> None:
    alice, product = await moving.shop.login("alice"), await moving.back_office.product(stock=5)
    async with moving.back_office.faults({"create_delay_s": 2}):
        order = await alice.checkout(product, 1)
        await poll(lambda: moving.shop.invoices(order), "the invoice is being made")
        await moving.advance("5m")
        await alice.invoice(order)
    tries = "SELECT attempts FROM payment_requests WHERE order_id = $1"
    assert await moving.value("paymentfc", tries, order) == 1
    assert await moving.shop.invoices(order) == 1
    await moving.exact()


async def test_what_is_old_is_deleted_and_the_audit_stays_exact(moving: Moving) -> None:
    alice, product = await moving.shop.login("alice"), await moving.back_office.product(stock=5)
    order = await alice.checkout(product, 1)
    await moving.shop.pay((await alice.invoice(order))["invoice_id"])
    await alice.wait_status(order, "completed")
    await moving.exact()
    for service, table, _ in KEPT_SHORTLY:
        assert await moving.value(service, f"SELECT count(*) FROM {table}") > 0, (service, table)
    await moving.advance("15d")

    async def deleted() -> bool:
        old = "SELECT count(*) FROM {} WHERE {} < now() - interval '14 days'"
        return not any([await moving.value(service, old.format(*place)) for service, *place in KEPT_SHORTLY])

    await poll(deleted, "old rows are deleted", 20, 0.1)
    await moving.exact()
    assert (await (await moving.shop.login("alice")).order(order))["status"] == "completed"


async def test_tokens_end_in_every_service_and_a_revoked_one_never_comes_back(moving: Moving) -> None:
    alice, bob = await moving.shop.login("alice"), await moving.shop.login("bob")
    url = f"{moving.stack.layout.url('userfc')}/v1/logout"
    (await moving.client.post(url, headers=bob.headers)).raise_for_status()
    order = await alice.checkout(await moving.back_office.product(stock=5), 1)
    await alice.invoice(order)
    asked = {"userfc": "/v1/user-info", "orderfc": f"/v1/orders/{order}", "paymentfc": f"/v1/payments/{order}"}

    async def answers(customer: Customer) -> list[int]:
        return [await moving.status(customer, service, path) for service, path in asked.items()]

    await moving.advance("50m")
    assert await answers(alice) == [200] * 3
    assert await answers(bob) == [401] * 3
    await moving.advance("11m")
    assert await answers(alice) == await answers(bob) == [401] * 3
    assert await answers(await moving.shop.login("alice")) == [200] * 3


async def test_orders_go_through_while_the_clock_is_moved(moving: Moving) -> None:
    product, buyers = await moving.back_office.product(stock=100), [await moving.shop.newcomer() for _ in range(4)]

    async def buy(buyer: Customer) -> int:
        order = await buyer.checkout(product, 1)
        await moving.shop.pay((await buyer.invoice(order))["invoice_id"])
        await buyer.wait_status(order, "completed")
        return order

    async def keep_buying(buyer: Customer) -> list[int]:
        return [await buy(buyer) for _ in range(6)]

    async def advance_twice() -> None:
        for _ in range(2):
            await moving.advance("20m")

    *bought, _ = await asyncio.gather(*map(keep_buying, buyers), advance_twice())
    orders = {order for each in bought if each for order in each}
    assert len(orders) == 24
    await moving.back_office.wait_stock(product, 76)
    await moving.exact()


async def test_every_database_and_every_process_has_the_clock_also_after_a_restart(moving: Moving) -> None:
    before = moving.stack.programs.clock.ahead_s
    await moving.advance("1h")
    ahead = moving.stack.programs.clock.ahead_s
    assert ahead == before + 3600
    async with processes.stopped(moving.stack, "postgres", "orderfc"):
        pass
    for service in SERVICES:
        assert await moving.value(service, AHEAD) == pytest.approx(ahead, abs=1), service
        assert await moving.value(service, UNMOVED) is None, service
    alice = await moving.shop.login("alice")
    order = await alice.checkout(await moving.back_office.product(stock=1), 1)
    said = await moving.value("orderfc", EVENT_TIME, f"order-{order}")
    assert abs(datetime.fromisoformat(said) - moving.stack.programs.clock.now()) < timedelta(seconds=20)
    shown = await moving.fc()
    assert f"{timedelta(seconds=ahead)} ahead of the machine's" in shown
