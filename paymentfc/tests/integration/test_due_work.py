"""What is looked for is what the claims take; a loop is woken in time for work that nobody told it of."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest
from prometheus_client import REGISTRY

from chassis.db.database import Database
from paymentfc import due_work
from paymentfc.claim_loop import ClaimLoop
from paymentfc.config import Settings
from paymentfc.due_work import DueWork
from paymentfc.repository import audit, closings, refund_work
from paymentfc.repository.closings import Step
from paymentfc.repository.due import _DUE, Due, due
from testkit import eventually

from .bench import Bench
from .loops import NEVER_S

Claim = Callable[[int], Awaitable[Sequence[object]]]
CLAIMS: dict[str, Callable[[Bench], Claim]] = {
    "requests": lambda bench: bench.create.claim_new,
    "retries": lambda bench: bench.create.claim_retries,
    "expiry": lambda bench: bench.checks.claim_past_expiry,
    "status": lambda bench: bench.checks.claim_open,
    "confirmations": lambda bench: bench.confirmations.claim,
    "closings": lambda bench: bench.checks.claim_closings,
    "audit": lambda bench: lambda limit: audit.due(bench.db, limit),
    "refunds": lambda bench: lambda limit: refund_work.claim(bench.db, limit, 30),
}
# A lease is longer.
LEASED_S = 25
INDEXES = (
    *(f"ix_payment_requests_{name}" for name in ("new", "again")),
    *(f"ix_payments_{name}" for name in ("sweep_first", "sweep_again", "check_first", "check_again")),
    *("ix_payment_confirmations_due", "ix_invoice_closings_due", "ix_audit_outbox_due"),
    *("ix_refunds_due", "ix_refunds_status"),
)


async def _look(bench: Bench) -> Due:
    return await due(bench.db, bench.settings.scheduler_status_min_age_s, automatic_refunds=False)


async def _make(bench: Bench, kind: str) -> None:
    """Make one item of a kind due."""
    if kind == "requests":
        await bench.order()
        return
    payment = await bench.invoiced()
    if kind == "retries":
        await bench.execute("UPDATE payment_requests SET status = 'FAILED', next_attempt_at = now()")
    elif kind == "expiry":
        await bench.expire_locally(payment)
    elif kind == "status":
        await bench.execute("UPDATE payments SET invoice_time = now() - interval '2 min'")
    elif kind == "confirmations":
        await bench.receive(bench.about(payment))
    elif kind == "refunds":
        await bench.callback(payment)
        await bench.rejected(payment.order_id)
        await bench.execute("UPDATE refunds SET status = 'REQUESTED'")
    elif kind == "closings":
        async with bench.db.transaction() as tx:
            await closings.add(tx, payment, "i1", Step.EXPIRE)


async def test_at_rest_nothing_is_due(bench: Bench) -> None:
    assert await _look(bench) == Due(*[None] * len(CLAIMS))


@pytest.mark.parametrize("kind", CLAIMS)
async def test_what_is_due_is_what_the_claim_takes(bench: Bench, kind: str) -> None:
    await _make(bench, kind)
    found = getattr(await _look(bench), kind)
    assert found is not None
    assert found <= 0
    claim = CLAIMS[kind](bench)
    assert len(await claim(8)) >= 1
    if kind == "audit":
        await bench.execute("DELETE FROM audit_outbox")
    else:
        assert await claim(8) == [], "it is leased"
    again = getattr(await _look(bench), kind)
    assert again is None or again > LEASED_S, "what is leased is not due"


@pytest.mark.parametrize("kind", CLAIMS)
async def test_the_kinds_do_not_stand_for_each_other(bench: Bench, kind: str) -> None:
    await _make(bench, kind)
    await bench.execute("DELETE FROM audit_outbox WHERE $1::text <> 'audit'", kind)
    for other, claim in CLAIMS.items():
        is_due = getattr(await _look(bench), other) is not None
        assert is_due == bool(await claim(bench)(8)), other


async def test_each_kind_is_read_along_the_index_of_its_claim(bench: Bench) -> None:
    """So that a look does not become dearer with what waits for its time."""
    async with bench.db.transaction() as tx:
        await tx.driver().execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        rows = await tx.driver().fetch(f"EXPLAIN {_DUE.replace('$1', '60').replace('$2', 'true')}")
    plan = "\n".join(str(row[0]) for row in rows)
    assert [name for name in INDEXES if name not in plan] == []
    assert "Seq Scan" not in plan
    assert "Sort" not in plan


def _looks() -> float:
    return REGISTRY.get_sample_value("gocommerce_loop_runs_total", {"loop": "due work", "outcome": "done"}) or 0


@asynccontextmanager
async def _watching(bench: Bench, **intervals: float) -> AsyncIterator[DueWork]:
    """Run the look with these intervals, the others never."""
    names = ("pending", "retry", "expiry", "status")
    never = {f"scheduler_{name}_interval_s": NEVER_S for name in names}
    work = DueWork(bench.db, bench.settings.model_copy(update=never | intervals))
    stop = asyncio.Event()
    running = asyncio.ensure_future(work.run(stop))
    try:
        yield work
    finally:
        stop.set()
        await running


async def test_work_that_another_process_has_left_wakes_its_loop(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due_work, "REST_LOOK_S", 0.05)
    before = _looks()
    async with _watching(bench) as work:
        await eventually(lambda: _looks() > before)
        assert not work.confirmations.wake.is_set()
        await _make(bench, "confirmations")
        await eventually(work.confirmations.wake.is_set)
        await eventually(work.audit.wake.is_set)
        assert not work.requests.wake.is_set(), "an interval that is not over"
        assert not work.expiry.wake.is_set()


async def test_a_loop_is_woken_when_an_item_becomes_due_and_not_at_the_next_look(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_work, "REST_LOOK_S", 20.0)
    await _make(bench, "confirmations")
    await bench.execute("UPDATE payment_confirmations SET due_at = now() + interval '1 second'")
    async with _watching(bench) as work:
        await eventually(work.confirmations.wake.is_set, 10)
        assert len(await bench.confirmations.claim(8)) == 1


async def test_a_database_that_is_away_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due_work, "REST_LOOK_S", 0.05)
    calls = 0

    async def failing(db: Database, min_age_s: float, *, automatic_refunds: bool) -> Due:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise ConnectionRefusedError
        return await due(db, min_age_s, automatic_refunds=automatic_refunds)

    monkeypatch.setattr(due_work, "due", failing)
    async with _watching(bench) as work:
        await _make(bench, "confirmations")
        await eventually(work.confirmations.wake.is_set)
    assert calls >= 3


async def test_the_steps_of_a_claim_loop_wake_the_delivery_of_their_audit_entries(
    bench: Bench, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a look: the entries of a payment do not wait for one."""
    monkeypatch.setattr(due_work, "REST_LOOK_S", NEVER_S)
    monkeypatch.setattr(due_work, "GATHER_S", 0.05)
    work = DueWork(bench.db, settings)
    loop = ClaimLoop("t", bench.create.claim_new, bench.create.make, work.requests.wake, note=work.noted)
    stop = asyncio.Event()
    running = asyncio.ensure_future(loop.run(stop))
    await bench.order()
    assert not work.audit.wake.is_set()
    work.requests.wake.set()
    await eventually(work.audit.wake.is_set)
    stop.set()
    with suppress(asyncio.CancelledError):
        await running


async def test_a_service_that_has_worked_looks_again_before_the_interval_of_one_at_rest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_work, "REST_LOOK_S", NEVER_S)
    monkeypatch.setattr(due_work, "LOOK_S", 0.05)
    async with _watching(bench) as work:
        work.noted()
        await _make(bench, "confirmations")
        for _ in range(2):
            await eventually(work.confirmations.wake.is_set)
            assert len(await bench.confirmations.claim(8)) == 1
            work.confirmations.wake.clear()
            await bench.execute("UPDATE payment_confirmations SET due_at = now()")


async def test_a_look_that_takes_too_long_leaves_each_loop_to_ask_for_its_own_work(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(_db: Database, _min_age_s: float, *, automatic_refunds: bool) -> Due:
        raise asyncpg.QueryCanceledError("canceling statement due to statement timeout")

    monkeypatch.setattr(due_work, "due", slow)
    async with _watching(bench) as work:
        queues = [queue for queue in vars(work).values() if isinstance(queue, due_work.Queue)]
        assert len(queues) == 8
        await eventually(lambda: all(queue.wake.is_set() for queue in queues))
