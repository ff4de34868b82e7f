"""Callbacks that are repeated, early, late or out of order: a payment counts once."""

import asyncio
from itertools import product as pairs

import pytest

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.locks import payment_locked, wait_for_waiters
from tests.chaos.kit.outboxes import event_counts
from tests.chaos.kit.payments import (
    LATE_ORDER,
    NO_CALLBACKS,
    PAID_ORDER,
    UNPAID_ORDER,
    anomalies,
    anomaly_kinds,
    assert_paid_once,
    callbacks,
    control_api,
    make_invoice,
    paid_without_callback,
    pay_late,
    payment_row,
    post_callback,
    unchecked_invoice,
    xendit_invoices,
)
from tests.chaos.kit.stock import stock_of

# After this time a closed invoice is looked at once more.
A_DAY_S = 86_400


@pytest.mark.fault(45)
async def test_twenty_of_the_same_callback_at_once_at_two_replicas_pay_the_order_once(arena: Arena) -> None:
    order, body = await paid_without_callback(arena)
    async with arena.replica("paymentfc") as other:
        async with payment_locked(arena, order) as connection:
            urls = [arena.stack.layout.url("paymentfc"), other.url] * 10
            telling = [asyncio.create_task(post_callback(arena, body, url=url)) for url in urls]
            await wait_for_waiters(connection, 8)
        assert [answer.status_code for answer in await asyncio.gather(*telling)] == [200] * 20
    await assert_paid_once(arena, order)
    await arena.exact()
    assert await callbacks(arena, order) == [("PAID", "paid", 20)]


@pytest.mark.fault(46)
async def test_a_callback_that_is_faster_than_the_answer_to_the_create_pays_the_order(arena: Arena) -> None:
    async with arena.back_office.faults({"webhook_before_response": True}):
        _, order = await arena.placed()
        await assert_paid_once(arena, order)
    arena.healed()
    await arena.exact()
    [invoice] = await xendit_invoices(arena, order)
    stored = await payment_row(arena, order)
    assert (stored["status"], stored["invoice_id"]) == ("PAID", invoice["id"])
    assert stored["invoice_url"] == invoice["invoice_url"]


@pytest.mark.fault(46)
async def test_a_callback_that_is_faster_than_its_order_waits_for_it(arena: Arena) -> None:
    async with arena.broken("kafka", "refuse"):
        _, order = await arena.placed()
        invoice = await make_invoice(arena, order, 25_000)
        await arena.shop.pay(invoice)
        assert await arena.shop.deliveries(invoice, 1) == [200]
        assert await callbacks(arena, order) == [("PAID", "waiting", 1)]
        assert await arena.sql("paymentfc", "SELECT 1 FROM payments WHERE order_id = $1", order) == []
    await assert_paid_once(arena, order)
    await arena.exact()
    assert [item["id"] for item in await xendit_invoices(arena, order)] == [invoice]
    # The look-up of the invoice may have paid the order before the callback was confirmed.
    assert await callbacks(arena, order) in ([("PAID", "paid", 1)], [("PAID", "nothing", 1)])
    assert await anomaly_kinds(arena, order) == ["unknown_invoice"]


@pytest.mark.fault(51)
@pytest.mark.parametrize("news", ["callback", "look"])
async def test_money_that_comes_after_the_end_stays_in_sight_until_somebody_gives_it_back(
    arena: Arena, news: str
) -> None:
    product, order = await arena.placed(stock=5, quantity=2)
    invoice = await unchecked_invoice(arena, order)
    await arena.shop.expire(invoice["invoice_id"])
    await arena.alice.wait_status(order, "cancelled")
    await arena.back_office.wait_stock(product, 5)
    lost = {"drop_webhooks": True, "late_payment_status": "PAID"}
    async with arena.back_office.faults({} if news == "callback" else lost):
        await pay_late(arena, invoice)
        if news == "look":
            await arena.advance(A_DAY_S)
        arena.healed()
        await arena.alice.wait_status(order, "failed")
    await arena.exact()
    row = await payment_row(arena, order)
    assert (row["status"], row["late_paid_at"] is None) == ("EXPIRED", False)
    assert await arena.history(order) == ["created", "cancelled", "failed"]
    assert await event_counts(arena, order) == LATE_ORDER
    assert await anomaly_kinds(arena, order) == ["paid_after_close"]
    assert await stock_of(arena, product) == 5

    admin = (await arena.shop.login("admin")).headers
    url = f"{arena.stack.layout.url('paymentfc')}/v1/payments/anomalies"
    listed = (await arena.client.get(url, headers=admin, params={"resolved": False, "page_size": 100})).json()["items"]
    [due] = [item for item in listed if item["order_id"] == order]
    done = await arena.client.post(f"{url}/{due['id']}/resolve", headers=admin, json={"note": "given back"})
    assert (done.status_code, done.json()["note"]) == (200, "given back")
    await arena.exact()


WORDS = ("PAID", "SETTLED", "EXPIRED", "PENDING", "REFUNDED")
MONEY = ("PAID", "SETTLED")


async def do_at_xendit(arena: Arena, invoice: str, word: str, earlier: str) -> None:
    """Do at Xendit, without a callback, what a callback is going to report; `earlier` was reported before it."""
    if word == "EXPIRED" and earlier not in (*MONEY, "EXPIRED"):
        await arena.shop.expire(invoice)
    if word in MONEY and earlier not in MONEY:
        await control_api(arena, f"invoices/{invoice}/pay", {"after_expiry": True})


async def taken(arena: Arena, order: int) -> None:
    """Wait until Xendit was asked about every callback of an order."""

    async def none_waits() -> bool:
        return all(outcome != "confirming" for _, outcome, _ in await callbacks(arena, order))

    await poll(none_waits, f"the callbacks of order {order} have had their effect")


@pytest.mark.fault(52)
async def test_of_any_two_callbacks_the_first_that_ends_the_payment_counts_and_no_step_goes_back(arena: Arena) -> None:
    product = await arena.back_office.product(stock=25)
    orders = {pair: await arena.alice.checkout(product, 1) for pair in pairs(WORDS, WORDS)}
    invoices = {pair: await unchecked_invoice(arena, order) for pair, order in orders.items()}
    async with arena.back_office.faults(NO_CALLBACKS):
        for pair, invoice in invoices.items():
            for word, earlier in zip(pair, ("", pair[0]), strict=True):
                await do_at_xendit(arena, invoice["invoice_id"], word, earlier)
                body = {
                    "id": invoice["invoice_id"],
                    "external_id": invoice["external_id"],
                    "status": word,
                    "amount": 25_000,
                    "currency": "IDR",
                }
                assert (await post_callback(arena, body)).status_code == 200, pair
                await taken(arena, orders[pair])
    undecided = [pair for pair in orders if not {*pair} & {*MONEY, "EXPIRED"}]
    for pair in undecided:
        assert (await payment_row(arena, orders[pair]))["status"] == "PENDING", pair
        await arena.shop.pay(invoices[pair]["invoice_id"])
    arena.healed()
    await arena.exact()
    for pair, order in orders.items():
        decisive = next((word for word in pair if word in (*MONEY, "EXPIRED")), "PAID")
        late = pair[0] == "EXPIRED" and pair[1] in MONEY
        expired = UNPAID_ORDER if not late else LATE_ORDER
        assert await event_counts(arena, order) == (expired if decisive == "EXPIRED" else PAID_ORDER), pair
        assert (await payment_row(arena, order))["status"] == ("EXPIRED" if decisive == "EXPIRED" else "PAID"), pair
        steps = ["created", "cancelled", "failed"] if late else ["created", "cancelled"]
        assert await arena.history(order) == (steps if decisive == "EXPIRED" else ["created", "completed"]), pair
        kinds = {"paid_after_close"} if late else {"unknown_status"} if "REFUNDED" in pair else set()
        assert {kind for kind, *_ in await anomalies(arena, order)} == kinds, pair
