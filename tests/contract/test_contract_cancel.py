"""The contract of a cancelled order over the running stack: stock, invoice, and the money that crosses it."""

import pytest

from fc.demo.shop import Customer, Shop, poll
from tests.contract.api import Api, Payment
from tests.kit.answers import outcome
from tests.kit.back_office import BackOffice
from tests.kit.bus import Bus

pytestmark = pytest.mark.e2e


async def _expired(api: Api, payment: Payment) -> bool:
    """Whether the provider's invoice can't be paid any more."""
    url = f"{api.stack.layout.url('xendit')}/_sim/invoices"
    [invoice] = (await api.client.get(url, params={"external_id": payment["external_id"]})).json()
    return bool(invoice["status"] == "EXPIRED")


async def test_a_cancelled_order_gives_its_stock_back_and_its_invoice_can_not_be_paid_any_more(
    api: Api, alice: Customer, back_office: BackOffice, bus: Bus
) -> None:
    product = await back_office.product(stock=3)
    order = await alice.checkout(product, 2)
    payment = await alice.invoice(order)
    await back_office.wait_stock(product, 1)
    await alice.cancel(order)
    assert (await alice.order(order))["status"] == "cancelled"
    await back_office.wait_stock(product, 3)
    closed = await alice.wait_payment(order, "FAILED")
    assert closed["reason"] == "order_cancelled"
    await poll(lambda: _expired(api, payment), "an expired invoice")
    await bus.consumed()
    topics = sorted(event.topic for event in await bus.events_of(order))
    assert topics == ["order.cancelled", "order.created", "stock.rollback", "stock.updated"]
    [answer] = [await api.ask("paymentfc", "POST", "/v1/payments/invoice", alice, json={"order_id": order})]
    assert outcome(answer) == (409, "payment_closed")


async def test_a_paid_order_is_not_cancellable(shop: Shop, payment: Payment, api: Api, alice: Customer) -> None:
    order = payment["order_id"]
    await shop.pay(payment["invoice_id"])
    await alice.wait_status(order, "completed")
    answer = await api.ask("orderfc", "POST", f"/v1/orders/{order}/cancel", alice, json={})
    assert outcome(answer) == (409, "not_cancellable")
    assert (await alice.order(order))["status"] == "completed"


async def test_money_that_overtakes_the_cancellation_fails_the_order(
    shop: Shop, payment: Payment, api: Api, alice: Customer, bus: Bus
) -> None:
    """Pay while orderfc's consumer has not heard of it, or has: either the request is refused, or the order fails."""
    order = payment["order_id"]
    await shop.pay(payment["invoice_id"])
    answer = await api.ask("orderfc", "POST", f"/v1/orders/{order}/cancel", alice, json={})
    await alice.wait_status(order, "completed" if answer.status_code == 409 else "failed")
    await bus.consumed()
    kinds = [item["kind"] for item in await api.anomalies(payment["external_id"])]
    assert kinds == ([] if answer.status_code == 409 else ["paid_after_close"])
