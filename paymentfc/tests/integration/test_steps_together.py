"""Steps of several orders in one statement: each order ends as it does alone, and none suffers from another."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.db.database import Database
from paymentfc.config import Settings
from paymentfc.events import succeeded
from paymentfc.model.callback import Outcome
from paymentfc.model.payment import Payment, Status
from paymentfc.repository import audit, payments
from paymentfc.repository.arrivals import ARRIVE, Arrival, arrive
from paymentfc.repository.audit import AuditEvent
from paymentfc.repository.offers import Offer, offer
from paymentfc.repository.paying import Paying, pay
from testkit import eventually
from testkit.properties import examples

from .bench import Bench
from .stories import MADE, MEANWHILE, NUL, PLANTED, POISON, SAID, UNPLANTED, Story, stage
from .test_registration_runs import DEADLOCKS
from .test_statement_races import WAITS
from .test_statements import Counter

MANY = 9


@pytest.fixture(scope="module")
async def shared(settings: Settings) -> AsyncIterator[Bench]:
    """One bench for all examples of this module."""
    db = Database(settings)
    yield Bench(settings, db)
    await db.close()


@pytest.fixture(scope="module", autouse=True)
async def planted(shared: Bench) -> AsyncIterator[None]:
    """Have PostgreSQL refuse payments with POISON."""
    await shared.execute(PLANTED)
    yield
    await shared.execute(UNPLANTED)


def mostly(usual: str, others: Sequence[str]) -> st.SearchStrategy[str]:
    return st.sampled_from([usual] * len(others) + list(others))


stories = st.lists(
    st.builds(Story, mostly("", MADE), mostly("PAID", SAID), mostly("", MEANWHILE)), min_size=1, max_size=8
)


@examples(60)
@given(stories)
async def test_any_mix_of_orders_at_once_ends_as_the_same_ones_after_each_other(
    shared: Bench, stories: list[Story]
) -> None:
    results = []
    for together in (False, True):
        await shared.execute("UPDATE payment_confirmations SET due_at = now() + interval '1 day'")
        results.append(await stage(shared, stories, together=together).play())
    assert results[0] == results[1]


async def orders(bench: Bench, number: int = MANY) -> list[Payment]:
    return [await bench.order() for _ in range(number)]


async def told(bench: Bench, number: int = MANY) -> list[Payment]:
    """Return payments with an invoice, which Xendit shows as paid."""
    await orders(bench, number)
    await bench.invoice()
    found = [await bench.payment(row["order_id"]) for row in await bench.rows("SELECT order_id FROM payments")]
    for payment in found:
        bench.xendit.agree(bench.about(payment, receipt=f"pay-{payment.order_id}"))
    return found


async def test_each_step_of_many_orders_at_once_is_one_statement(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter(monkeypatch)
    await orders(bench, 40)
    claims = await bench.create.claim_new(40)
    assert await counter.of(asyncio.gather(*(bench.create.make(claim) for claim in claims))) == ([True] * 40, 1, 1)
    paid = [bench.about(await bench.payment(claim.order_id), receipt="va_1") for claim in claims]
    for callback in paid:
        bench.xendit.agree(callback)
    ends, *counts = await counter.of(asyncio.gather(*(bench.receive(callback) for callback in paid)))
    assert (ends, counts) == ([Outcome.CONFIRMING] * 40, [1, 1])
    items = await bench.confirmations.claim(40)
    _, *counts = await counter.of(asyncio.gather(*(bench.confirmations.confirm(item) for item in items)))
    assert counts == [1, 1]
    assert await bench.rows("SELECT DISTINCT status FROM payments") == [{"status": "PAID"}]
    assert await bench.rows("SELECT count(DISTINCT key) AS n FROM outbox") == [{"n": 40}]


@pytest.mark.parametrize("position", range(4))
async def test_a_callback_that_the_database_refuses_is_the_only_one_of_its_batch(bench: Bench, position: int) -> None:
    found = await told(bench, 4)
    callbacks = [bench.about(payment, receipt=NUL if at == position else "va") for at, payment in enumerate(found)]
    ends = await asyncio.gather(*(bench.receive(callback) for callback in callbacks), return_exceptions=True)
    assert isinstance(ends.pop(position), asyncpg.PostgresError)
    assert ends == [Outcome.CONFIRMING] * 3
    stored = [row["external_id"] for row in await bench.rows("SELECT external_id FROM payment_callbacks ORDER BY id")]
    assert stored == [payment.external_id for at, payment in enumerate(found) if at != position]


@pytest.mark.parametrize("position", range(4))
async def test_a_payment_that_the_database_refuses_is_the_only_one_of_its_batch(bench: Bench, position: int) -> None:
    found = await told(bench, 4)
    for at, payment in enumerate(found):
        receipt = POISON if at == position else "va"
        bench.xendit.change(payment.invoice_id, receipt=receipt)
        await bench.receive(bench.about(payment, receipt=receipt))
    items = await bench.confirmations.claim(8)
    ends = await asyncio.gather(*(bench.confirmations.confirm(item) for item in items), return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [asyncpg.CheckViolationError]
    paid = [(await bench.payment(payment.order_id)).status is Status.PAID for payment in found]
    assert paid == [at != position for at in range(4)]
    assert [len(await bench.events(payment.order_id)) for payment in found] == [int(done) for done in paid]


async def test_an_order_that_is_locked_too_long_does_not_spoil_the_others_of_its_batch(bench: Bench) -> None:
    """PostgreSQL ends the shared statement; then each has one of its own, the locked one the last."""
    found = await told(bench, 4)

    async def waiting() -> list[int]:
        return [row["pid"] for row in await bench.rows(WAITS)]

    async def others() -> bool:
        return await bench.rows("SELECT count(*) AS n FROM payment_callbacks") == [{"n": 3}]

    async with bench.db.transaction() as tx:
        await payments.lock_payment(tx, found[3].order_id)
        tasks = [asyncio.ensure_future(bench.receive(bench.about(payment))) for payment in found]
        await eventually(waiting)
        await bench.execute(f"SELECT pg_cancel_backend({(await waiting())[0]})")
        await eventually(others)
    assert await asyncio.gather(*tasks) == [Outcome.CONFIRMING] * 4


async def test_two_callbacks_of_one_order_are_never_in_one_statement(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await told(bench, 2)
    counter = Counter(monkeypatch)
    callbacks = [bench.about(payment, status) for payment in found for status in ("PAID", "SETTLED", "PAID")]
    ends, *_ = await counter.of(asyncio.gather(*(bench.receive(callback) for callback in callbacks)))
    assert ends == [Outcome.CONFIRMING] * 6
    assert counter.sent.count(ARRIVE) == 3
    stored = await bench.rows("SELECT status, deliveries FROM payment_callbacks ORDER BY external_id, status")
    assert [(row["status"], row["deliveries"]) for row in stored] == [("PAID", 2), ("SETTLED", 1)] * 2


Statement = Callable[[Bench, Sequence[Payment]], Awaitable[Any]]


async def arrives(bench: Bench, found: Sequence[Payment]) -> Any:
    told = [bench.about(payment, "SETTLED", invoice_id=payment.invoice_id or "early") for payment in found]
    arrivals = [Arrival.of(callback, "{}", None) for callback in told]
    return await arrive(bench.db, arrivals)


async def offers(bench: Bench, found: Sequence[Payment]) -> Any:
    claims = {claim.order_id: claim for claim in await bench.create.claim_new(MANY)}
    made = [bench.xendit.put(payment.external_id, payment.amount) for payment in found]
    asked = [
        Offer(claims[payment.order_id], invoice, None, audit.values(AuditEvent.INVOICE_CREATED, "test"))
        for payment, invoice in zip(found, made, strict=True)
    ]
    return await offer(bench.db, asked)


async def pays(bench: Bench, found: Sequence[Payment]) -> Any:
    items = {item.external_id: item for item in await bench.confirmations.claim(MANY)}
    asked = [
        Paying(items[each.external_id], each, first, succeeded(each), audit.values(AuditEvent.PAYMENT_PAID, "test"))
        for each in found
        if (first := items[each.external_id].first)
    ]
    return await pay(bench.db, asked, note="")


@pytest.mark.parametrize(
    ("one", "other", "is_told"),
    [(arrives, arrives, False), (arrives, offers, False), (offers, arrives, False), (pays, arrives, True)],
)
async def test_two_statements_with_the_same_orders_in_opposite_order_do_not_deadlock(
    bench: Bench, one: Statement, other: Statement, is_told: bool
) -> None:
    """The middle order is held until both wait: locked as they come, each would then hold what the other wants."""
    found = await told(bench) if is_told else await orders(bench)
    if is_told:
        await asyncio.gather(*(bench.receive(bench.about(payment)) for payment in found))

    async def waiters(number: int) -> bool:
        return len(await bench.rows(WAITS)) == number

    before = await bench.rows(DEADLOCKS)
    tasks = []
    async with bench.db.transaction() as tx:
        await payments.lock_payment(tx, found[MANY // 2].order_id)
        for number, (statement, way) in enumerate(((one, found), (other, found[::-1])), start=1):
            tasks.append(asyncio.ensure_future(statement(bench, way)))
            await eventually(lambda number=number: waiters(number))
    await asyncio.gather(*tasks)
    assert await bench.rows(DEADLOCKS) == before


async def test_all_steps_of_many_orders_at_the_same_time_end_without_a_deadlock_and_pay_each_order_once(
    bench: Bench,
) -> None:
    """Each order is told of before its invoice is stored, three times; two processes confirm."""
    found = await orders(bench, 60)
    others = Bench(bench.settings, bench.db, bench.xendit, bench.users)
    before = await bench.rows(DEADLOCKS)

    async def pay_at_once(made: Any) -> None:
        callback = bench.about(await bench.payment(order_of(made)), invoice_id=made.id, receipt="va")
        bench.xendit.agree(callback)
        told.extend(asyncio.ensure_future(each.receive(callback)) for each in (bench, others, bench))

    def order_of(made: Any) -> int:
        return int(made.external_id.removeprefix("order-"))

    told: list[asyncio.Future[Outcome]] = []
    bench.xendit.on_create = pay_at_once
    claims = await bench.create.claim_new(60)
    await asyncio.gather(*(bench.create.make(claim) for claim in claims), bench.confirm(), others.confirm())
    assert set(await asyncio.gather(*told)) <= {Outcome.CONFIRMING, Outcome.NOTHING}
    await asyncio.gather(bench.confirm(), others.confirm())
    await bench.confirm_later()
    assert await bench.rows("SELECT DISTINCT status FROM payments") == [{"status": "PAID"}]
    events = [[event["topic"] for event in await bench.events(payment.order_id)] for payment in found]
    assert events == [["payment.success"]] * 60
    assert await bench.rows("SELECT DISTINCT kind FROM payment_anomalies") == []
    assert await bench.rows(DEADLOCKS) == before
