"""Faults of Xendit's callbacks: doubled, early, forged, wrong, late, out of order or cut off, money is counted once."""

import asyncio
from itertools import product as pairs
from typing import Any

import orjson
import pytest

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.locks import end_advisory_waiters, payment_locked, wait_for_waiters
from tests.chaos.kit.outboxes import event_counts
from tests.chaos.kit.payments import (
    LATE_ORDER,
    NO_CALLBACKS,
    PAID_ORDER,
    UNPAID_ORDER,
    anomalies,
    anomaly_kinds,
    assert_paid_once,
    callback_head,
    callback_token,
    callbacks,
    control_api,
    deliveries,
    make_invoice,
    paid_without_callback,
    pay_late,
    payment_row,
    post_callback,
    send_raw,
    unchecked_invoice,
    xendit_invoices,
)
from tests.chaos.kit.stock import stock_of


@pytest.mark.fault(45)
async def test_twenty_of_the_same_callback_at_once_at_two_replicas_pay_the_order_once(arena: Arena) -> None:
    order, body = await paid_without_callback(arena)
    async with arena.replica("paymentfc") as other:
        async with payment_locked(arena, order) as connection:
            urls = [arena.stack.layout.url("paymentfc"), other.url] * 10
            telling = [asyncio.create_task(post_callback(arena, body, url=url)) for url in urls]
            await wait_for_waiters(connection, 8, advisory=True)
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
    assert await callbacks(arena, order) == [("PAID", "paid", 1)]
    assert await anomaly_kinds(arena, order) == ["unknown_invoice"]


@pytest.mark.fault(50)
async def test_a_callback_without_the_token_is_turned_away_before_its_body_is_looked_at(arena: Arena) -> None:
    order, body = await paid_without_callback(arena)
    right = callback_token(arena).encode()
    wrong = [b"", b"wrong", right[:-1], right + b"x", right.upper(), b"t\xc3\xb6ken", b"\xff\xfe", b"null", b"a" * 8000]
    for given in wrong:
        for content in (orjson.dumps(body), b"{", b"\xff" * 100_000):
            answer = await post_callback(arena, content, given=given)
            assert (answer.status_code, answer.json()["code"]) == (401, "invalid_callback_token"), given
    url = f"{arena.stack.layout.url('paymentfc')}/v1/payments/xendit/webhook"
    for headers in ({}, {"authorization": f"Bearer {callback_token(arena)}"}, arena.alice.headers):
        answer = await arena.client.post(
            url, headers=headers, params={"x-callback-token": callback_token(arena)}, json=body
        )
        assert answer.status_code == 401
    async with arena.back_office.faults({"wrong_token": True}):
        await control_api(arena, f"invoices/{body['id']}/resend", {})
        assert await arena.shop.deliveries(body["id"], 1) == [401]
    assert await callbacks(arena, order) == []
    assert (await post_callback(arena, body)).status_code == 200
    arena.healed()
    await assert_paid_once(arena, order)
    await arena.exact()


@pytest.mark.fault(50)
async def test_no_token_opens_a_service_that_was_given_none_and_production_does_not_start_so(arena: Arena) -> None:
    order, body = await paid_without_callback(arena)
    async with arena.replaced("paymentfc", {"XENDIT_WEBHOOK_TOKEN": ""}) as shut:
        for given in (b"", b"development-webhook-token", b"None", callback_token(arena).encode()):
            assert (await post_callback(arena, body, given=given)).status_code == 401, given
        without = await arena.client.post(f"{shut.url}/v1/payments/xendit/webhook", json=body)
        assert without.status_code == 401
        assert await callbacks(arena, order) == []
    production = {"ENVIRONMENT": "production", "XENDIT_WEBHOOK_TOKEN": "", "MONGO_URI": "mongodb://localhost"}
    size = shut.log.stat().st_size
    async with arena.replaced("paymentfc", production, ready=False) as refused:
        assert await refused.exit_code() == 1
    assert b"setting XENDIT_WEBHOOK_TOKEN: is missing" in refused.log.read_bytes()[size:]
    await arena.sql("paymentfc", "UPDATE payments SET check_after = NULL WHERE order_id = $1", order)
    await assert_paid_once(arena, order)
    await arena.exact()
    assert await callbacks(arena, order) == []


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
            sql = "UPDATE invoice_closings SET due_at = now() WHERE invoice_id = $1 AND step = 'look_again'"
            await arena.sql("paymentfc", sql, invoice["invoice_id"])
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


async def happens(arena: Arena, invoice: str, first: str, second: str) -> None:
    """Have that happen at Xendit in silence which two callbacks in this order tell."""
    news = [word for word in (first, second) if word in (*MONEY, "EXPIRED")]
    if news[:1] == ["EXPIRED"]:
        await arena.shop.expire(invoice)
    if any(word in MONEY for word in news):
        await control_api(arena, f"invoices/{invoice}/pay", {"after_expiry": True})


@pytest.mark.fault(52)
async def test_of_any_two_callbacks_the_first_that_ends_the_payment_counts_and_no_step_goes_back(arena: Arena) -> None:
    product = await arena.back_office.product(stock=25)
    orders = {pair: await arena.alice.checkout(product, 1) for pair in pairs(WORDS, WORDS)}
    invoices = {pair: await unchecked_invoice(arena, order) for pair, order in orders.items()}
    async with arena.back_office.faults(NO_CALLBACKS):
        for pair, invoice in invoices.items():
            await happens(arena, invoice["invoice_id"], *pair)
            for word in pair:
                body = {
                    "id": invoice["invoice_id"],
                    "external_id": invoice["external_id"],
                    "status": word,
                    "amount": 25_000,
                    "currency": "IDR",
                }
                assert (await post_callback(arena, body)).status_code == 200, pair
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
        told = {"paid_after_close"} if late else {"unknown_status"} if "REFUNDED" in pair else set()
        assert {kind for kind, *_ in await anomalies(arena, order)} == told, pair


WHOLE_OR_NOT = """
SELECT p.status, c.outcome, c.deliveries, (SELECT count(*) FROM outbox WHERE key = p.external_id) AS events
FROM payments p LEFT JOIN payment_callbacks c ON c.external_id = p.external_id WHERE p.order_id = $1
"""
NOTHING, WHOLE = ("PENDING", None, None, 0), ("PAID", "paid", 1, 1)


async def stored(arena: Arena, order: int) -> tuple[Any, ...]:
    """Give what one callback has left behind, as of one moment."""
    [row] = await arena.sql("paymentfc", WHOLE_OR_NOT, order)
    return tuple(row)


@pytest.mark.fault(57)
async def test_a_callback_whose_sender_hangs_up_is_applied_whole_or_not_at_all_and_can_come_again(arena: Arena) -> None:
    told = [await paid_without_callback(arena) for _ in range(6)]
    for point, (order, body) in enumerate(told[:5]):
        content = orjson.dumps(body)
        first = callback_head(arena, content)
        ends = (0, len(first) // 2, len(first), len(first) + len(content) // 2, len(first) + len(content))
        writer = await send_raw(arena, (first + content)[: ends[point]])
        writer.transport.abort()
        assert await stored(arena, order) in ([NOTHING, WHOLE] if point == 4 else [NOTHING])
    order, body = told[5]
    async with payment_locked(arena, order) as connection:
        writer = await send_raw(arena, callback_head(arena, orjson.dumps(body)) + orjson.dumps(body))
        await wait_for_waiters(connection, advisory=True)
        assert await stored(arena, order) == NOTHING
        writer.transport.abort()
    for order, body in told:
        assert await stored(arena, order) in [NOTHING, WHOLE]
        assert (await post_callback(arena, body)).status_code == 200
        await assert_paid_once(arena, order)
        assert [each[:2] for each in await callbacks(arena, order)] == [("PAID", "paid")]
    await arena.exact()


@pytest.mark.fault(57)
async def test_a_callback_whose_database_connection_dies_leaves_nothing_and_comes_again(arena: Arena) -> None:
    _, order = await arena.placed()
    invoice = await unchecked_invoice(arena, order)
    async with payment_locked(arena, order) as connection:
        await arena.shop.pay(invoice["invoice_id"])
        await wait_for_waiters(connection, advisory=True)
        await end_advisory_waiters(connection)
        assert await arena.shop.deliveries(invoice["invoice_id"], 1) == [503]
        assert await stored(arena, order) == NOTHING
    assert await arena.shop.deliveries(invoice["invoice_id"], 2) == [503, 200]
    await assert_paid_once(arena, order)
    await arena.exact()
    assert await stored(arena, order) == WHOLE


@pytest.mark.fault(57)
async def test_a_callback_that_xendit_has_given_up_waiting_for_is_applied_all_the_same(arena: Arena) -> None:
    _, order = await arena.placed()
    invoice = await unchecked_invoice(arena, order)
    async with arena.back_office.faults({"webhook_timeout_s": 0.3}), payment_locked(arena, order):
        await arena.shop.pay(invoice["invoice_id"])

        async def given_up() -> bool:
            return [item["outcome"] for item in await deliveries(arena, invoice["invoice_id"])] == ["timeout"]

        await poll(given_up, "Xendit gives the callback up")
        assert await stored(arena, order) == NOTHING
    await assert_paid_once(arena, order)
    await arena.exact()
    assert await stored(arena, order) == WHOLE
    assert len(await deliveries(arena, invoice["invoice_id"])) == 1
