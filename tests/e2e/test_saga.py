"""Orders from checkout to their end on the whole stack: the happy path and every other ending."""

import asyncio

import httpx2
import pytest

from fc.demo.shop import Customer, Shop, poll
from tests.kit.back_office import BackOffice
from tests.kit.bus import Bus

pytestmark = pytest.mark.e2e


async def test_an_order_is_paid_and_completed_and_its_stock_is_taken(
    shop: Shop, alice: Customer, back_office: BackOffice
) -> None:
    product = await back_office.product(stock=10)
    order = await alice.checkout(product, 2)
    payment = await alice.invoice(order)
    assert (payment["status"], payment["amount"]) == ("PENDING", product["price"] * 2)
    await shop.pay(payment["invoice_id"])
    await alice.wait_status(order, "completed")
    shown = await alice.order(order)
    assert [step["status"] for step in shown["history"]] == ["created", "completed"]
    assert (await alice.payment(order))["status"] == "PAID"
    await back_office.wait_stock(product, 8)


async def test_an_expired_payment_cancels_the_order_and_restores_the_stock(
    shop: Shop, alice: Customer, back_office: BackOffice
) -> None:
    product = await back_office.product(stock=5)
    order = await alice.checkout(product, 3)
    payment = await alice.invoice(order)
    await back_office.wait_stock(product, 2)
    await shop.expire(payment["invoice_id"])
    await alice.wait_status(order, "cancelled")
    await back_office.wait_stock(product, 5)
    assert (await alice.payment(order))["status"] == "EXPIRED"


async def test_a_payment_that_xendit_refuses_fails_and_the_order_is_compensated(
    shop: Shop, alice: Customer, back_office: BackOffice
) -> None:
    product = await back_office.product(stock=4)
    async with back_office.faults({"create_status": {"status": 400, "times": 4}}):
        order = await alice.checkout(product, 1)
        await alice.wait_payment(order, "FAILED")
        await alice.wait_status(order, "cancelled")
    await back_office.wait_stock(product, 4)


async def test_the_last_unit_goes_to_one_of_two_customers_and_the_other_keeps_no_live_invoice(
    shop: Shop, alice: Customer, bob: Customer, back_office: BackOffice
) -> None:
    product = await back_office.product(stock=1)
    results = await asyncio.gather(alice.checkout(product, 1), bob.checkout(product, 1), return_exceptions=True)
    orders = [(who, order) for who, order in zip((alice, bob), results, strict=True) if isinstance(order, int)]
    refused = [result for result in results if isinstance(result, httpx2.HTTPStatusError)]
    assert len(orders) + len(refused) == 2
    assert orders
    assert all(refusal.response.status_code == 409 for refusal in refused)
    await back_office.wait_stock(product, 0)
    if len(orders) == 2:

        async def cancelled() -> list[tuple[Customer, int]]:
            return [(who, order) for who, order in orders if (await who.order(order))["status"] == "cancelled"]

        [(loser, lost)] = await poll(cancelled, "one order is cancelled")
        await loser.wait_payment(lost, "FAILED")
        assert await shop.live_invoices(lost) == 0
        orders.remove((loser, lost))
    [(winner, won)] = orders
    payment = await winner.invoice(won)
    await shop.pay(payment["invoice_id"])
    await winner.wait_status(won, "completed")
    await back_office.wait_stock(product, 0)


async def test_a_webhook_that_comes_three_times_is_applied_once(
    shop: Shop, alice: Customer, back_office: BackOffice
) -> None:
    product = await back_office.product(stock=5)
    order = await alice.checkout(product, 1)
    payment = await alice.invoice(order)
    await shop.pay(payment["invoice_id"])
    await alice.wait_status(order, "completed")
    await shop.resend(payment["invoice_id"], 2)
    assert await shop.deliveries(payment["invoice_id"], 3) == [200, 200, 200]
    assert [step["status"] for step in (await alice.order(order))["history"]] == ["created", "completed"]
    await back_office.wait_stock(product, 4)


async def test_every_event_of_an_order_delivered_again_changes_nothing(
    shop: Shop, alice: Customer, back_office: BackOffice, bus: Bus
) -> None:
    product = await back_office.product(stock=9)
    order = await alice.checkout(product, 2)
    payment = await alice.invoice(order)
    await shop.pay(payment["invoice_id"])
    await alice.wait_status(order, "completed")
    events = await bus.events_of(order)
    assert {event.topic for event in events} == {"order.created", "stock.updated", "payment.success"}
    for event in events:
        await bus.send(event, fresh_id=False)
        await bus.send(event, fresh_id=True)
    await bus.consumed()
    assert [step["status"] for step in (await alice.order(order))["history"]] == ["created", "completed"]
    await back_office.wait_stock(product, 7)


async def test_a_rollback_that_overtakes_its_deduction_leaves_the_stock_as_it_was(
    back_office: BackOffice, bus: Bus
) -> None:
    product = await back_office.product(stock=6)
    order = back_office.foreign_order_id()
    await bus.publish("stock.rollback", order, [(product["id"], 2)])
    await bus.consumed()
    await bus.publish("stock.updated", order, [(product["id"], 2)])
    await bus.publish("stock.rollback", order, [(product["id"], 2)])
    await bus.consumed()
    await back_office.wait_stock(product, 6)


async def test_a_poison_message_reaches_the_dead_letter_topic_and_the_next_order_goes_on(
    shop: Shop, alice: Customer, back_office: BackOffice, bus: Bus
) -> None:
    await bus.raw("stock.updated", b"order-1", b"\xff not json")
    letter = await bus.dead_letter("stock.updated", b"\xff not json")
    assert letter["x-reason"] == "invalid_json"
    product = await back_office.product(stock=3)
    order = await alice.checkout(product, 1)
    payment = await alice.invoice(order)
    await shop.pay(payment["invoice_id"])
    await alice.wait_status(order, "completed")
