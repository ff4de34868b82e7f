"""Five promises that naive sagas break, each under the fault that breaks it; only the audit checks them here.

`make mutants` breaks the five in the code, one at a time, and checks that the audit reports each.
"""

from tests.chaos.kit.arena import Arena
from tests.chaos.kit.payments import pay_late


async def test_an_offset_never_runs_ahead_of_its_work(arena: Arena) -> None:
    async with arena.killed("productfc", "consumer.before_handler/stock.updated"):
        await arena.placed()
    await arena.exact()


async def test_an_event_is_committed_with_its_state_or_not_at_all(arena: Arena) -> None:
    async with arena.replaced("paymentfc", {"FAILPOINTS": "paymentfc.before_commit=raise"}):
        _, order = await arena.placed()
        await arena.complete(order)
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
