"""Rollbacks that are early, repeated or unfounded, and orders of which one line is short."""

import pytest

from tests.chaos.kit.arena import Arena
from tests.chaos.kit.databases import cancelled_orders
from tests.chaos.kit.locks import products_locked, wait_for_waiters
from tests.chaos.kit.outboxes import event_counts
from tests.chaos.kit.requests import place_order
from tests.chaos.kit.stock import change_product, ledger, stock_of, wait_ledger

SET_ASIDE = "consumer.before_handler/stock.updated=delay:120"
"""Delays productfc's first stock.updated until the test kills the process."""


@pytest.mark.fault(33)
async def test_a_rollback_that_overtakes_its_deduction_leaves_the_stock_alone(arena: Arena) -> None:
    async with arena.replaced("productfc", {"FAILPOINTS": SET_ASIDE}) as productfc:
        product, number = await arena.placed(stock=5, quantity=2)
        await arena.shop.expire((await arena.invoice(number))["invoice_id"])
        await wait_ledger(arena, number, "TOMBSTONE")
        assert await stock_of(arena, product) == 5
        productfc.process.kill()
    await arena.exact()
    # exact() has waited for the deduction.
    assert await ledger(arena, number) == {product["id"]: (2, "TOMBSTONE")}
    assert await stock_of(arena, product) == 5
    assert await arena.history(number) == ["created", "cancelled"]


@pytest.mark.fault(34)
async def test_rollbacks_that_come_again_or_for_what_was_never_taken_conjure_no_stock(arena: Arena) -> None:
    product, number = await arena.placed(stock=5, quantity=2)
    await wait_ledger(arena, number, "TAKEN")
    await arena.shop.expire((await arena.invoice(number))["invoice_id"])
    await wait_ledger(arena, number, "RELEASED")
    [rollback] = [event for event in await arena.bus.events_of(number) if event.topic == "stock.rollback"]
    for fresh_id in (False, True, True):
        await arena.bus.send(rollback, fresh_id=fresh_id)

    scarce = await arena.back_office.product(stock=1)
    async with products_locked(arena, scarce):
        both = [await place_order(arena, (scarce, 1)), await place_order(arena, (scarce, 1))]
    [refused] = await cancelled_orders(arena, both, 1)
    for line in ([(scarce["id"], 1)], [(scarce["id"], 50)], [(product["id"], 3)], []):
        await arena.bus.publish("stock.rollback", refused, line)
    await arena.bus.consumed()
    arena.healed()
    await arena.exact()
    assert [await stock_of(arena, product), await stock_of(arena, scarce)] == [5, 0]
    assert await ledger(arena, refused) == {scarce["id"]: (1, "REJECTED")}


@pytest.mark.fault(38)
async def test_an_order_with_one_line_short_of_stock_takes_nothing(arena: Arena) -> None:
    first, second, short = [await arena.back_office.product(stock=5) for _ in range(3)]
    async with products_locked(arena, first) as connection:
        number = await place_order(arena, (short, 2), (first, 2), (second, 2))
        await wait_for_waiters(connection)
        (await change_product(arena, short, stock=1)).raise_for_status()
    await wait_ledger(arena, number, "REJECTED", 3)
    await arena.alice.wait_status(number, "cancelled")
    await arena.exact()
    assert [await stock_of(arena, product) for product in (first, second, short)] == [5, 5, 1]
    assert await arena.shop.live_invoices(number) == 0
    assert await event_counts(arena, number) == {"order.created": 1, "stock.updated": 1, "stock.rejected": 1}
