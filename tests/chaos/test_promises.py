"""Twelve promises that naive sagas break, each under the fault that breaks it; only the audit checks them here.

`make mutants` breaks each in the code, one at a time, and checks that the audit reports it. docs/museum tells what each
defect costs.
"""

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.locks import products_locked, wait_for_waiters
from tests.chaos.kit.payments import LEASE_S, control_api, pay_late, payment_row, requests_of, unchecked_invoice
from tests.chaos.kit.requests import place_order
from tests.chaos.kit.stock import change_product


async def test_an_offset_never_runs_ahead_of_its_work(arena: Arena) -> None:
    async with arena.killed("productfc", "consumer.before_handler/stock.updated"):
        await arena.placed()
    await arena.exact()


async def test_an_event_is_committed_with_its_state_or_not_at_all(arena: Arena) -> None:
    async with arena.replaced("paymentfc", {"FAILPOINTS": "paymentfc.before_commit=raise"}):
        _, order = await arena.placed()
        await arena.complete(order)
    await arena.advance(LEASE_S)
    await arena.exact()


async def test_what_a_group_has_passed_is_in_its_inbox(arena: Arena) -> None:
    _, order = await arena.placed()
    await arena.complete(order)
    for event in await arena.bus.events_of(order):
        await arena.bus.send(event, fresh_id=False)
    await arena.exact()


async def test_a_status_changes_by_the_table_whatever_comes_last(arena: Arena) -> None:
    _, order = await arena.placed()
    invoice = await arena.invoice(order)
    await arena.shop.expire(invoice["invoice_id"])
    await arena.alice.wait_status(order, "cancelled")
    await pay_late(arena, invoice)
    await arena.exact()


async def test_a_rollback_gives_back_what_the_ledger_holds_and_no_more(arena: Arena) -> None:
    _, order = await arena.placed(quantity=2)
    await arena.shop.expire((await arena.invoice(order))["invoice_id"])
    await arena.alice.wait_status(order, "cancelled")
    [rollback] = [event for event in await arena.bus.events_of(order) if event.topic == "stock.rollback"]
    await arena.bus.send(rollback, fresh_id=True)
    await arena.exact()


async def test_an_event_goes_out_under_the_topic_of_its_meaning(arena: Arena) -> None:
    _, order = await arena.placed()
    await arena.shop.expire((await arena.invoice(order))["invoice_id"])

    async def closed() -> bool:
        return bool((await payment_row(arena, order))["status"] == "EXPIRED")

    await poll(closed, "the payment is closed", 40, 0.05)
    await arena.exact()


async def test_money_pays_when_it_is_exactly_what_was_asked_for(arena: Arena) -> None:
    _, order = await arena.placed()
    invoice = await unchecked_invoice(arena, order)
    await control_api(arena, f"invoices/{invoice['invoice_id']}/pay", {"amount": 1})
    await arena.exact()


async def test_a_cached_product_is_as_its_row(arena: Arena) -> None:
    product = await arena.back_office.product(stock=5)
    url = f"{arena.stack.layout.url('productfc')}/v1/products/{product['id']}"
    (await arena.client.get(url)).raise_for_status()
    (await change_product(arena, product, price=1_000)).raise_for_status()
    await arena.exact()


async def test_an_order_takes_all_its_lines_or_none(arena: Arena) -> None:
    await _short_of_one_line(arena)
    await arena.exact()


async def test_an_order_whose_stock_was_refused_is_told_so(arena: Arena) -> None:
    await _short_of_one_line(arena)
    await arena.exact()


async def test_an_order_has_one_invoice_that_can_be_paid(arena: Arena) -> None:
    async with arena.back_office.faults({"create_fails_after_commit": 1}):
        _, order = await arena.placed()

        async def failed_once() -> bool:
            return any(row["retry_count"] for row in await requests_of(arena, [order]))

        await poll(failed_once, "the first try is over", 40, 0.05)
    await arena.complete(order)
    await arena.exact()


async def test_a_request_that_is_given_up_ends_its_order(arena: Arena) -> None:
    async with arena.back_office.faults({"create_status": 400}):
        _, order = await arena.placed()

        async def given_up() -> bool:
            return any(row["status"] in ("EXHAUSTED", "CANCELLED") for row in await requests_of(arena, [order]))

        await poll(given_up, "no further attempt is due", 40, 0.05)
    await arena.exact()


async def _short_of_one_line(arena: Arena) -> None:
    """Have an order of three products placed, of which one is short by the time that its stock is taken."""
    first, second, short = [await arena.back_office.product(stock=5) for _ in range(3)]
    async with products_locked(arena, first) as connection:
        await place_order(arena, (short, 2), (first, 2), (second, 2))
        await wait_for_waiters(connection)
        (await change_product(arena, short, stock=1)).raise_for_status()
