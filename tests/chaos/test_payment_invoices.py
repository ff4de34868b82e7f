"""Faults during the creation of an invoice: kills, lost answers and outages leave one invoice or none."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.locks import requests_locked
from tests.chaos.kit.logs import metric
from tests.chaos.kit.outboxes import event_counts
from tests.chaos.kit.payments import (
    PAID_ORDER,
    UNPAID_ORDER,
    end_lease,
    payment_row,
    request_row,
    requests_of,
    retried,
    xendit_calls,
    xendit_invoices,
)

CREATE = {"http_request_method": "POST", "url_template": "/v2/invoices"}
# After this age an order that Xendit gives no invoice is given up, by default.
GIVE_UP_S = 900
BATCH = {"DISABLE_CREATE_INVOICE_DIRECTLY": "true"}


@pytest.mark.fault(47)
async def test_an_invoice_that_was_made_before_a_kill_is_found_and_no_second_one_is_made(arena: Arena) -> None:
    product = await arena.back_office.product(stock=5)
    async with arena.replaced("paymentfc", {"FAILPOINTS": "paymentfc.after_create=kill"}) as mortal:
        order = await arena.alice.checkout(product, 2)
        await mortal.killed()
        [made] = await xendit_invoices(arena, order)
        assert (await payment_row(arena, order))["invoice_id"] is None
        await end_lease(arena, order)
    await arena.complete(order, deadline_s=60)
    await arena.exact()
    assert [invoice["id"] for invoice in await xendit_invoices(arena, order)] == [made["id"]]
    assert (await payment_row(arena, order))["invoice_id"] == made["id"]
    assert (await request_row(arena, order))["attempts"] == 2
    assert await event_counts(arena, order) == PAID_ORDER


@asynccontextmanager
async def without_answer(arena: Arena, how: str) -> AsyncIterator[None]:
    """Have Xendit make invoices without a usable answer: an error, a late answer, or a lost connection."""
    if how == "cut":
        async with arena.broken("xendit", "cut", 0):
            yield
    else:
        async with arena.back_office.faults({how: 1 if how == "create_fails_after_commit" else 8}):
            yield
        arena.healed()


@pytest.mark.fault(48)
@pytest.mark.parametrize("how", ["create_fails_after_commit", "create_delay_s", "cut"])
async def test_an_invoice_that_was_made_although_nobody_heard_of_it_is_the_only_one(arena: Arena, how: str) -> None:
    before = await xendit_calls(arena)
    async with without_answer(arena, how):
        _, order = await arena.placed()

        async def failed_once() -> bool:
            rows = await requests_of(arena, [order])
            return bool(rows and rows[0]["retry_count"] >= 1 and await xendit_invoices(arena, order))

        await poll(failed_once, "the first try is over", 30, 0.05)
    await arena.complete(order)
    assert await xendit_calls(arena) - before == 1
    await arena.exact()
    assert len(await xendit_invoices(arena, order)) == 1
    assert await event_counts(arena, order) == PAID_ORDER


@pytest.mark.fault(54)
async def test_two_schedulers_with_one_list_make_each_invoice_once_and_count_each_failure_once(arena: Arena) -> None:
    many, failing = 40, 15
    product = await arena.back_office.product(stock=many)
    asleep = BATCH | {"SCHEDULER_PENDING_INTERVAL_S": "3600", "SCHEDULER_RETRY_INTERVAL_S": "3600"}
    awake = BATCH | {"SCHEDULER_PENDING_INTERVAL_S": "0.05", "SCHEDULER_RETRY_INTERVAL_S": "0.05"}
    before = await xendit_calls(arena)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(arena.replaced("paymentfc", asleep))
        orders = [await arena.alice.checkout(product, 1) for _ in range(many)]

        async def listed() -> bool:
            return len(await requests_of(arena, orders)) == many

        await poll(listed, "all requests are listed", 40, 0.05)
        await stack.enter_async_context(arena.back_office.faults({"create_fails_after_commit": failing}))
        await stack.enter_async_context(arena.network["xendit"].broken("delay", 0.1))
        async with requests_locked(arena, orders):
            both = [await stack.enter_async_context(arena.replica("paymentfc", awake)) for _ in range(2)]
        arena.healed()

        for order in orders:
            await arena.pay(order, deadline_s=60)
        shares = [
            await metric(arena, each.url, "http_client_request_duration_seconds_count", **CREATE) for each in both
        ]
    assert min(shares) > 0
    assert (await xendit_calls(arena) - before, sum(shares)) == (many, many)
    rows = await requests_of(arena, orders)
    assert sorted(row["retry_count"] for row in rows) == [0] * (many - failing) + [1] * failing
    retried = "SELECT sum(retry_count) FROM payments WHERE order_id = ANY($1::bigint[])"
    assert (await arena.sql("paymentfc", retried, orders))[0][0] == failing
    await arena.exact()
    done = "SELECT count(*) FROM orders WHERE id = ANY($1::bigint[]) AND status = 2"
    assert (await arena.sql("orderfc", done, orders))[0][0] == many


@pytest.mark.fault(55)
async def test_a_request_whose_scheduler_was_killed_is_taken_over_when_its_lease_ends(arena: Arena) -> None:
    product = await arena.back_office.product(stock=5)
    # The kill must not hit the request of an earlier test that is due for one more check.
    await poll(lambda: nothing_open(arena), "no other request is open", 60, 0.2)
    async with arena.replaced("paymentfc", BATCH | {"FAILPOINTS": "paymentfc.after_claim=kill"}) as mortal:
        order = await arena.alice.checkout(product, 2)
        await mortal.killed()
        held = await request_row(arena, order)
        assert (held["status"], held["attempts"], held["lease_token"] is None) == ("PENDING", 1, False)
        assert await xendit_invoices(arena, order) == []
    # Only now, while the supervised service runs: it has to take over without a restart.
    await end_lease(arena, order)
    await arena.complete(order, deadline_s=60)
    await arena.exact()
    assert len(await xendit_invoices(arena, order)) == 1
    freed = await request_row(arena, order)
    assert (freed["attempts"], freed["lease_until"], freed["retry_count"]) == (2, None, 0)
    assert await event_counts(arena, order) == PAID_ORDER


@pytest.mark.fault(58)
@pytest.mark.parametrize(("status", "reason"), [(500, "gateway_unavailable"), (400, "invoice_refused")])
async def test_a_request_that_never_succeeds_ends_in_sight_and_its_order_is_cancelled(
    arena: Arena, status: int, reason: str
) -> None:
    before = await xendit_calls(arena)
    async with arena.back_office.faults({"create_status": status}):
        product, order = await arena.placed(stock=5, quantity=2)
        if status == 500:
            await poll(lambda: retried(arena, order, 2), "a second try has failed", 30, 0.05)
            await arena.advance(GIVE_UP_S)
        await arena.alice.wait_status(order, "cancelled", 40)
        await arena.back_office.wait_stock(product, 5)
        tries = await xendit_calls(arena) - before

        async def given_up() -> bool:
            row = await request_row(arena, order)
            return row["lease_until"] is None and row["status"] in ("EXHAUSTED", "CANCELLED", "VERIFY")

        await poll(given_up, "no further attempt is due", 30, 0.05)
        assert await xendit_calls(arena) - before == tries
    assert tries == 4 if status == 400 else 3 <= tries <= 8
    await arena.exact()
    row = await payment_row(arena, order)
    assert (row["status"], row["reason"], row["retry_count"]) == ("FAILED", reason, tries - 1)
    assert await xendit_invoices(arena, order) == []
    assert await event_counts(arena, order) == UNPAID_ORDER
    listed = await failed_payments(arena)
    assert [(item["status"], item["notes"]) for item in listed if item["order_id"] == order] == [("FAILED", reason)]


async def failed_payments(arena: Arena) -> list[dict[str, Any]]:
    """Read the list of failed payments as an administrator."""
    admin = (await arena.shop.login("admin")).headers
    url = f"{arena.stack.layout.url('paymentfc')}/v1/payments/failed"
    answer = await arena.client.get(url, headers=admin, params={"page_size": 100})
    answer.raise_for_status()
    return list(answer.json()["payment_list"])


async def nothing_open(arena: Arena) -> bool:
    """Whether no payment request is open."""
    waiting = "SELECT count(*) FROM payment_requests WHERE status IN ('PENDING', 'FAILED', 'VERIFY')"
    return bool((await arena.sql("paymentfc", waiting))[0][0] == 0)
