"""Callbacks that claim what is not so, money that comes twice or in a wrong amount, and a payer without an e-mail."""

import asyncio

import pytest

from console.model.steps import Step
from console.model.waits import waits
from fc.demo.shop import poll
from fc.ops.read_unfinished import read_unfinished
from fc.platform.sources import Sources
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.outboxes import event_counts
from tests.chaos.kit.payments import (
    PAID_ORDER,
    UNPAID_ORDER,
    anomalies,
    assert_paid_once,
    control_api,
    last_callback,
    payment_row,
    post_callback,
    retried,
    unchecked_invoice,
    xendit_invoices,
)
from tests.chaos.kit.stock import stock_of

# The time until an invoice ends, and half of the time after which an order without one is given up, by default.
A_DAY_S, HALF_OF_THE_TIME_S = 86_400, 450


async def claims(arena: Arena, order: int, *statuses: str) -> None:
    """Send callbacks with the right token about what has not happened at Xendit."""
    invoice = await unchecked_invoice(arena, order)
    for status in statuses:
        body = {
            "id": invoice["invoice_id"],
            "external_id": invoice["external_id"],
            "status": status,
            "amount": invoice["amount"],
            "paid_amount": invoice["amount"],
            "currency": "IDR",
            "payment_id": f"made-up-{status}",
        }
        answer = await post_callback(arena, body)
        assert (answer.status_code, answer.json()) == (200, {"message": "webhook processed"})


async def wait_anomaly(arena: Arena, order: int, kind: str) -> list[tuple[str, str, str]]:
    async def there() -> list[tuple[str, str, str]]:
        found = await anomalies(arena, order)
        return found if kind in {each[0] for each in found} else []

    return list(await poll(there, f"an anomaly {kind} of order {order}"))


@pytest.mark.fault(90)
async def test_whoever_has_the_token_completes_and_cancels_no_order(arena: Arena) -> None:
    _, untouched = await arena.placed()
    product, cancelled = await arena.placed(stock=5, quantity=2)
    await claims(arena, untouched, "PAID", "SETTLED", "EXPIRED")
    ended = await unchecked_invoice(arena, cancelled)
    await arena.shop.expire(ended["invoice_id"])
    await arena.alice.wait_status(cancelled, "cancelled")
    await claims(arena, cancelled, "PAID")
    for order, said in ((untouched, "PENDING"), (cancelled, "EXPIRED")):
        assert await wait_anomaly(arena, order, "unconfirmed") == [("unconfirmed", said, "PAID")]
    arena.healed()
    await arena.exact()
    assert await arena.history(untouched) == ["created"]
    assert await arena.history(cancelled) == ["created", "cancelled"]
    assert await event_counts(arena, cancelled) == UNPAID_ORDER
    assert await stock_of(arena, product) == 5
    await arena.complete(untouched)
    await arena.exact()


@pytest.mark.fault(90)
async def test_a_callback_during_an_outage_of_xendit_is_answered_at_once_and_confirmed_afterwards(arena: Arena) -> None:
    _, order = await arena.placed()
    invoice = await unchecked_invoice(arena, order)
    async with arena.back_office.faults({"drop_webhooks": True}):
        await arena.shop.pay(invoice["invoice_id"])
    body = await last_callback(arena, invoice["invoice_id"])
    async with arena.broken("xendit", "blackhole"):
        async with asyncio.timeout(3):
            assert (await post_callback(arena, body)).status_code == 200
        assert (await payment_row(arena, order))["status"] == "PENDING"
    await assert_paid_once(arena, order)
    await arena.exact()
    assert await anomalies(arena, order) == []


@pytest.mark.fault(88)
async def test_an_invoice_that_is_paid_three_times_serves_one_order_and_shows_two_refunds(arena: Arena) -> None:
    _, order = await arena.placed()
    invoice = await unchecked_invoice(arena, order)
    async with arena.back_office.faults({"duplicate_webhooks": 2, "keep_webhook_id": False}):
        await control_api(arena, f"invoices/{invoice['invoice_id']}/pay", {"times": 3})
        await arena.shop.deliveries(invoice["invoice_id"], 9)
    arena.healed()
    await assert_paid_once(arena, order)
    await arena.exact()
    [shown] = await xendit_invoices(arena, order)
    taken = (await payment_row(arena, order))["receipt"]
    others = {item["payment_id"] for item in shown["payments"]} - {taken}
    found = await anomalies(arena, order)
    assert {kind for kind, *_ in found} == {"paid_twice"}
    assert {received for *_, received in found} == {f"{receipt} 25000" for receipt in others}
    assert len(others) == len(found) == 2


@pytest.mark.fault(89)
@pytest.mark.parametrize("by", ["administrator", "end"])
async def test_a_wrong_amount_gives_the_stock_back_when_its_invoice_ends_or_a_person_says_so(
    arena: Arena, by: str
) -> None:
    product, order = await arena.placed(stock=7, quantity=7)
    invoice = await unchecked_invoice(arena, order)
    await control_api(arena, f"invoices/{invoice['invoice_id']}/pay", {"amount": invoice["amount"] - 1})
    await wait_anomaly(arena, order, "amount_mismatch")
    payments = f"{arena.stack.layout.url('paymentfc')}/v1/payments"
    async with asyncio.timeout(4):
        asked = await arena.client.post(f"{payments}/invoice", headers=arena.alice.headers, json={"order_id": order})
    assert (asked.status_code, asked.json()["code"]) == (409, "payment_disputed")
    admin = (await arena.shop.login("admin")).headers
    [row] = await arena.sql("paymentfc", "SELECT id FROM payment_anomalies WHERE order_id = $1", order)
    url = f"{payments}/anomalies/{row['id']}/resolve"
    noted = await arena.client.post(url, headers=admin, json={"note": "seen"})
    assert noted.status_code == 200
    [wait] = [
        item for item in waits(await read_unfinished(Sources.of_stack(arena.stack.layout)), 0) if item.order_id == order
    ]
    assert wait.step is Step.ANOMALY
    assert "amount_mismatch" in wait.because
    assert '{"action": "close"}' in wait.next
    if by == "administrator":
        closed = await arena.client.post(url, headers=admin, json={"note": "close it", "action": "close"})
        assert closed.status_code == 200
    else:
        await arena.advance(A_DAY_S)
    arena.healed()
    await arena.alice.wait_status(order, "cancelled", 40)
    await arena.exact()
    found = await payment_row(arena, order)
    assert (found["status"], found["reason"]) == ("FAILED", "amount_mismatch")
    assert await stock_of(arena, product) == 7
    assert await event_counts(arena, order) == UNPAID_ORDER


@pytest.mark.fault(91)
async def test_an_order_is_paid_although_userfc_is_away_until_the_end_and_xendit_takes_no_email(arena: Arena) -> None:
    # An address that was asked for within a minute is known.
    product, payer = await arena.back_office.product(stock=5), await arena.shop.newcomer()
    async with arena.broken("grpc", "refuse"):
        away = await payer.checkout(product, 1)
        await poll(lambda: retried(arena, away), "an invoice waits for the e-mail", 20)
        await arena.advance(HALF_OF_THE_TIME_S)
        invoice = await arena.invoice(away, payer)
    async with arena.back_office.faults({"refuse_email": True}):
        refused = await payer.checkout(product, 1)
        await arena.invoice(refused, payer)
    arena.healed()
    for order in (away, refused):
        await arena.complete(order, payer)
        assert await event_counts(arena, order) == PAID_ORDER
    assert invoice["status"] == "PENDING"
    await arena.exact()
