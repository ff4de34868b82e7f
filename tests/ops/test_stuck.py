"""`fc stuck` on the running stack: each waiting order is listed with the step that it waits for."""

import asyncio

import httpx2

from console.model.steps import Step
from console.model.wait import Wait
from console.model.waits import waits
from fc.demo.shop import Customer, Shop, poll
from fc.ops.read_unfinished import read_unfinished
from fc.platform.sources import Sources
from fc.stack.local import Stack
from tests.kit.back_office import BackOffice
from tests.ops.conftest import Run, lines


async def wait_of(sources: Sources, order: int) -> Wait | None:
    """Return what an order waits for now."""
    found = waits(await read_unfinished(sources), 0)
    return next((wait for wait in found if wait.order_id == order), None)


async def reaches(sources: Sources, order: int, step: Step, because: str) -> Wait:
    """Wait until an order is reported to wait for a step, with a cause."""

    async def there() -> Wait | None:
        found = await wait_of(sources, order)
        return found if found and found.step is step and because in found.because else None

    found = await poll(there, f"order {order} waits for {step}", 30)
    assert isinstance(found, Wait)
    return found


async def gone(sources: Sources, order: int) -> None:
    """Wait until an order is no longer reported."""

    async def none() -> bool:
        return await wait_of(sources, order) is None

    await poll(none, f"order {order} waits for nothing", 30)


async def test_an_order_whose_payment_is_missing_names_paymentfc(
    stack: Stack, sources: Sources, back_office: BackOffice, alice: Customer
) -> None:
    product = await back_office.product(5)
    await asyncio.to_thread(stack.supervisor.stop, "paymentfc")
    try:
        order = await alice.checkout(product, 1)
        wait = await reaches(sources, order, Step.PAYMENT, "order.created was published and paymentfc has not applied")
        assert "fc logs paymentfc" in wait.next
    finally:
        await asyncio.to_thread(stack.supervisor.start, "paymentfc")
        await stack.ready("paymentfc")
    await reaches(sources, order, Step.CUSTOMER, "has not paid")


async def test_a_cancelled_order_whose_stock_is_not_back_names_productfc(
    stack: Stack, shop: Shop, sources: Sources, back_office: BackOffice, alice: Customer
) -> None:
    product = await back_office.product(5)
    order = await alice.checkout(product, 1)
    payment = await alice.invoice(order)
    await asyncio.to_thread(stack.supervisor.stop, "productfc")
    try:
        await shop.expire(payment["invoice_id"])
        await reaches(sources, order, Step.STOCK, "stock.rollback was published and productfc has not applied it")
    finally:
        await asyncio.to_thread(stack.supervisor.start, "productfc")
        await stack.ready("productfc")
    await gone(sources, order)


async def test_an_order_whose_invoice_xendit_does_not_make_names_its_answer(
    sources: Sources, back_office: BackOffice, alice: Customer
) -> None:
    product = await back_office.product(5)
    async with back_office.faults({"create_status": 503}):
        order = await alice.checkout(product, 1)
        wait = await reaches(sources, order, Step.INVOICE, "503")
        assert "is Xendit up" in wait.next
    await reaches(sources, order, Step.CUSTOMER, "has not paid")


async def test_an_unpaid_order_waits_for_its_customer_and_a_paid_one_for_nobody(
    shop: Shop, sources: Sources, back_office: BackOffice, alice: Customer
) -> None:
    order = await alice.checkout(await back_office.product(5), 1)
    payment = await alice.invoice(order)
    wait = await reaches(sources, order, Step.CUSTOMER, "the invoice is open until")
    assert wait.next == f"nothing: payable at {payment['invoice_url']}"
    await shop.pay(payment["invoice_id"])
    await alice.wait_status(order, "completed")
    await gone(sources, order)


async def test_money_that_came_for_a_cancelled_order_is_a_refund_until_it_is_resolved(
    stack: Stack, client: httpx2.AsyncClient, shop: Shop, sources: Sources, back_office: BackOffice, alice: Customer
) -> None:
    order = await alice.checkout(await back_office.product(5), 1)
    payment = await alice.invoice(order)
    await shop.expire(payment["invoice_id"])
    await alice.wait_status(order, "cancelled")
    late = f"{stack.layout.url('xendit')}/_sim/invoices/{payment['invoice_id']}/pay"
    (await client.post(late, json={"after_expiry": True})).raise_for_status()
    wait = await reaches(sources, order, Step.REFUND, "paid_after_close")
    admin = await shop.login("admin")
    path = wait.next.rpartition(" ")[2]
    answer = await client.post(
        f"{stack.layout.url('paymentfc')}{path}", headers=admin.headers, json={"note": "refunded"}
    )
    assert answer.status_code == 200
    await gone(sources, order)


async def test_what_waits_for_less_than_was_asked_for_is_left_out(
    back_office: BackOffice, alice: Customer, fc: Run
) -> None:
    order = await alice.checkout(await back_office.product(5), 1)
    await alice.invoice(order)
    now = lines(await fc("stuck", "--older-than", "0", "--json"))
    assert [wait["step"] for wait in now if wait["order_id"] == order] == ["customer"]
    later = lines(await fc("stuck", "--older-than", "3600", "--json"))
    assert order not in [wait["order_id"] for wait in later]
