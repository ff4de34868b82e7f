"""Claims: at most the limit, nothing twice, no earlier than the backoff, and a pause after a 429 of Xendit."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from paymentfc.errors import GatewayUnavailable
from paymentfc.model.invoices import Invoice
from paymentfc.repository import closings
from paymentfc.repository.closings import Step

from .bench import Bench, drain

LIMIT, MANY = 4, 40
CLAIMS: dict[str, Callable[[Bench], Callable[[int], Awaitable[Sequence[object]]]]] = {
    "new requests": lambda bench: bench.create.claim_new,
    "past expiry": lambda bench: bench.checks.claim_past_expiry,
    "open invoices": lambda bench: bench.checks.claim_open,
    "closings": lambda bench: bench.checks.claim_closings,
}


async def _make_due(bench: Bench) -> None:
    """Make payments that are due for every claim."""
    made = [await bench.order() for _ in range(MANY)]
    sql = """
    UPDATE payments SET invoice_id = 'i' || id, invoice_time = now() - interval '2 min', expires_at = now()
    WHERE order_id = ANY($1::bigint[])
    """
    await bench.execute(sql, [payment.order_id for payment in made])
    async with bench.db.transaction() as tx:
        for payment in made:
            await closings.add(tx, payment, f"i{payment.id}", Step.EXPIRE)


async def _pretend_tiny(bench: Bench) -> None:
    """Make the planner expect one row in each table, as after a purge: it then runs a subquery once per row."""
    sql = "UPDATE pg_class SET reltuples = 1, relpages = 1000 WHERE relname = ANY($1::text[])"
    await bench.execute("ANALYZE")
    await bench.execute(sql, ["payments", "payment_requests", "invoice_closings"])


@pytest.mark.parametrize("name", CLAIMS)
async def test_a_claim_takes_no_more_than_it_is_asked_for_and_nothing_twice(bench: Bench, name: str) -> None:
    await _make_due(bench)
    await _pretend_tiny(bench)
    claim = CLAIMS[name](bench)
    taken = [await claim(LIMIT) for _ in range(MANY // LIMIT)]
    assert [len(items) for items in taken] == [LIMIT] * (MANY // LIMIT)
    assert await claim(LIMIT) == []


async def test_asking_for_an_invoice_does_not_shorten_the_backoff_after_a_refusal(bench: Bench) -> None:
    patient = bench.other(payment_retry_backoff_s=10)
    bench.xendit.faults = ["refuse"]
    payment = await patient.order()
    claim = await patient.create.claim_order(payment.order_id)
    assert claim is not None
    await patient.create.make(claim)
    assert await patient.create.claim_order(payment.order_id) is None
    await bench.execute("UPDATE payment_requests SET next_attempt_at = now()")
    assert await patient.create.claim_order(payment.order_id) is not None


@pytest.mark.parametrize(("age_s", "again_in_s"), [(120, 60), (600, 60), (36_000, 3_600)])
async def test_the_older_an_open_invoice_is_the_less_often_it_is_asked_for(
    bench: Bench, age_s: int, again_in_s: int
) -> None:
    payment = await bench.invoiced()
    await bench.execute("UPDATE payments SET invoice_time = now() - $1 * interval '1 second'", age_s)
    assert [claimed.id for claimed in await bench.checks.claim_open(8)] == [payment.id]
    [row] = await bench.rows("SELECT extract(epoch FROM check_after - now())::float8 AS wait_s FROM payments")
    assert again_in_s - 10 <= row["wait_s"] <= again_in_s + 1


async def test_a_round_of_status_checks_ends_when_xendit_says_that_it_is_too_much(bench: Bench) -> None:
    for _ in range(30):
        await bench.invoiced()
    await bench.execute("UPDATE payments SET invoice_time = now() - interval '2 minutes'")
    bench.xendit.calls.clear()
    bench.xendit.faults = ["", "", "busy"]
    await drain(bench.checks.claim_open, bench.checks.check, slots=4)
    assert bench.xendit.calls == ["get"] * 4
    left = "SELECT count(*) AS n FROM payments WHERE check_after IS NULL"
    assert await bench.rows(left) == [{"n": 26}]


async def test_a_worker_that_was_overtaken_does_not_pull_the_second_look_forward(bench: Bench) -> None:
    async def overtaken(_: str) -> Invoice:
        bench.xendit.instead.clear()
        await bench.execute("UPDATE invoice_closings SET due_at = now()")
        await bench.close_invoices()
        bench.xendit.faults = ["down"]
        raise GatewayUnavailable("timed out")

    payment = await bench.invoiced()
    await bench.rejected(payment.order_id)
    bench.xendit.instead["expire"] = overtaken
    await bench.close_invoices()
    sql = "SELECT step, due_at > now() + interval '23 hours' AS a_day_later, last_error FROM invoice_closings"
    assert await bench.rows(sql) == [{"step": "look_again", "a_day_later": True, "last_error": None}]
