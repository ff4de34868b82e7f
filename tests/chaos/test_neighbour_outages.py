"""MongoDB, the gRPC of userfc and the HTTP of productfc that are down, slow or frozen."""

import asyncio
from collections import Counter
from uuid import uuid4

import pytest

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.databases import orders_for
from tests.chaos.kit.requests import checkout, refused_for_now, together, unlimited_client


@pytest.mark.fault(64)
@pytest.mark.parametrize("mode", ["refuse", "blackhole", "cut"])
async def test_payments_go_on_without_mongodb_and_each_audit_entry_arrives_once_afterwards(
    arena: Arena, mode: str
) -> None:
    admin = (await arena.shop.login("admin")).headers
    url = f"{arena.stack.layout.url('paymentfc')}/v1/payments/audit-logs"
    # Cut: MongoDB stores what it receives, and its answer is lost.
    async with arena.broken("mongo", mode, *([0] if mode == "cut" else [])):
        _, order = await arena.placed()
        await arena.complete(order)
        assert refused_for_now(await arena.client.get(url, headers=admin))
        waiting = await arena.sql("paymentfc", "SELECT count(*) FROM audit_outbox WHERE order_id = $1", order)
        assert waiting[0][0] == 4
    await arena.exact()
    answer = await arena.client.get(url, headers=admin, params={"order_id": order, "page_size": 100})
    steps = ("payment.created", "invoice.created", "payment.paid", "event.published")
    assert Counter(entry["event"] for entry in answer.json()["items"]) == dict.fromkeys(steps, 1)


@pytest.mark.fault(65)
@pytest.mark.parametrize("mode", ["refuse", "blackhole", "delay", "frozen"])
async def test_an_invoice_waits_for_userfc_without_hanging_and_is_made_once_afterwards(arena: Arena, mode: str) -> None:
    # Whose address paymentfc does not know yet.
    product, payer = await arena.back_office.product(stock=5), await arena.shop.newcomer()
    trouble = (
        arena.frozen("userfc") if mode == "frozen" else arena.broken("grpc", mode, *([4] if mode == "delay" else []))
    )
    async with trouble:
        order = await payer.checkout(product, 1)

        async def failed() -> bool:
            rows = await arena.sql(
                "paymentfc", "SELECT retry_count, tries FROM payment_requests WHERE order_id = $1", order
            )
            return bool(rows) and rows[0]["retry_count"] >= 2 and rows[0]["tries"] == 0

        await poll(failed, "the request was put off twice", 30, 0.1)
        payment = await payer.payment(order)
        assert (payment["status"], payment["invoice_url"]) == ("PENDING", None)
    await arena.complete(order, payer)
    await arena.exact()
    [invoice] = [
        item
        for item in (await arena.client.get(f"{arena.stack.layout.url('xendit')}/_sim/invoices")).json()
        if item["external_id"] == f"order-{order}"
    ]
    assert invoice["payer_email"].startswith("buyer-")


@pytest.mark.fault(66)
@pytest.mark.parametrize("mode", ["refuse", "blackhole", "delay", "frozen", "cut"])
async def test_a_hundred_checkouts_without_productfc_are_refused_leave_nothing_and_hold_up_no_other_route(
    arena: Arena, mode: str
) -> None:
    product, keys = await arena.back_office.product(stock=200), [uuid4().hex for _ in range(100)]
    values = {"delay": [30.0], "cut": [40.0]}.get(mode, [])
    async with unlimited_client() as client:
        trouble = arena.frozen("productfc") if mode == "frozen" else arena.broken("productfc", mode, *values)
        async with trouble:
            asking = asyncio.create_task(
                together(checkout(arena, (product, 1), key=key, client=client) for key in keys)
            )
            url, meanwhile = f"{arena.stack.layout.url('orderfc')}/v1/orders/history", 0
            while not asking.done():
                other = await client.get(url, headers=arena.alice.headers, params={"limit": 1})
                assert other.status_code == 200 or refused_for_now(other)
                meanwhile += other.status_code == 200 and not asking.done()
            assert meanwhile or mode in ("refuse", "cut")
            assert [refused_for_now(answer) for answer in asking.result()] == [True] * 100
            assert await orders_for(arena, product) == 0
        again = await together(checkout(arena, (product, 1), key=key, client=client) for key in keys[:10])
    assert [answer.status_code for answer in again] == [201] * 10
    await arena.exact()
    assert await orders_for(arena, product) == 10
    assert await arena.back_office.stock(product) == 190
