"""Callbacks whose connection breaks are applied completely or not at all, and can be sent again."""

from typing import Any

import orjson
import pytest

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.locks import end_waiters, payment_locked, wait_for_waiters
from tests.chaos.kit.payments import (
    assert_paid_once,
    callback_head,
    callbacks,
    deliveries,
    paid_without_callback,
    post_callback,
    send_raw,
    unchecked_invoice,
)

WHOLE_OR_NOT = """
SELECT p.status, c.outcome, c.deliveries, (SELECT count(*) FROM outbox WHERE key = p.external_id) AS events
FROM payments p LEFT JOIN payment_callbacks c ON c.external_id = p.external_id WHERE p.order_id = $1
"""

NOTHING, WHOLE = ("PENDING", None, None, 0), ("PAID", "paid", 1, 1)
STORED = [("PENDING", "confirming", 1, 0), WHOLE]


async def stored(arena: Arena, order: int) -> tuple[Any, ...]:
    """Return what one callback has stored, read in one statement."""
    [row] = await arena.sql("paymentfc", WHOLE_OR_NOT, order)
    return tuple(row)


@pytest.mark.fault(57)
async def test_a_callback_whose_sender_hangs_up_is_applied_whole_or_not_at_all_and_can_come_again(arena: Arena) -> None:
    paid = [await paid_without_callback(arena) for _ in range(6)]
    for point, (order, body) in enumerate(paid[:5]):
        content = orjson.dumps(body)
        first = callback_head(arena, content)
        ends = (0, len(first) // 2, len(first), len(first) + len(content) // 2, len(first) + len(content))
        writer = await send_raw(arena, (first + content)[: ends[point]])
        writer.transport.abort()
        assert await stored(arena, order) in ([NOTHING, *STORED] if point == 4 else [NOTHING])
    order, body = paid[5]
    async with payment_locked(arena, order) as connection:
        writer = await send_raw(arena, callback_head(arena, orjson.dumps(body)) + orjson.dumps(body))
        await wait_for_waiters(connection)
        assert await stored(arena, order) == NOTHING
        writer.transport.abort()
    for order, body in paid:
        assert await stored(arena, order) in [NOTHING, *STORED]
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
        await wait_for_waiters(connection)
        await end_waiters(connection)
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
