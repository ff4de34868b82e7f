"""Waiting for rest: what keeps it waiting, what does not, and that rest leaves no grace."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fc.audit.patience import Limits
from fc.audit.report import Report
from fc.platform.errors import CouldNotCheck

from .conftest import new_sample
from .spoil import ledger, park
from .world import World, opened_world

LIMIT_S = 0.1


@pytest.fixture
async def still(databases: dict[str, dict[str, Any]], own_broker: str) -> AsyncIterator[World]:
    """A platform at rest."""
    async with opened_world(databases, own_broker) as world:
        await world.store([new_sample("paid"), new_sample("expired"), new_sample("open")])
        yield world


async def rested(world: World, limit_s: float = 20, limits: Limits | None = None) -> Report:
    """Audit at rest; messages of earlier tests on the topics belong to no order of this one."""
    return await world.audit(quiesce_s=limit_s, limits=limits, ignore=["event_ghost"])


async def test_a_platform_at_rest_is_audited(still: World) -> None:
    report = await rested(still)
    assert (report.orders, report.exit_code) == (3, 0)


@pytest.mark.parametrize(
    ("service", "sql", "left"),
    [
        (
            "orderfc",
            "UPDATE outbox SET published_at = NULL WHERE topic = 'order.created'",
            "orderfc has 3 unsent events",
        ),
        (
            "paymentfc",
            "UPDATE payment_requests SET status = 'FAILED', next_attempt_at = now() WHERE true",
            "paymentfc has 3 payment requests",
        ),
        (
            "paymentfc",
            "UPDATE payment_requests SET status = 'PENDING', lease_until = now() + interval '1 hour',"
            " next_attempt_at = now() + interval '1 hour'",
            "paymentfc has 3 payment requests",
        ),
        ("paymentfc", "UPDATE payments SET expires_at = now()", "paymentfc has 1 payments past expiry"),
        (
            "paymentfc",
            "UPDATE invoice_closings SET step = 'look_again', due_at = now(), done_at = NULL",
            "paymentfc has 1 invoices to close",
        ),
        (
            "paymentfc",
            "UPDATE invoice_closings SET step = 'expire', due_at = now() + interval '30 s', done_at = NULL",
            "paymentfc has 1 invoices to close",
        ),
        (
            "paymentfc",
            "INSERT INTO audit_outbox (event_id, event, actor) VALUES (gen_random_uuid(), 'payment.paid', 'test')",
            "paymentfc has 1 undelivered audit entries",
        ),
    ],
)
async def test_work_that_is_due_is_waited_for_and_named_when_it_is_not_done(
    still: World, service: str, sql: str, left: str
) -> None:
    await still.sql(service, sql)
    with pytest.raises(CouldNotCheck, match=f"did not come to rest within {LIMIT_S} s: {left}$"):
        await rested(still, LIMIT_S)


async def test_a_message_that_is_not_consumed_is_waited_for(still: World) -> None:
    made = new_sample("open", not_passed=True)
    await still.store([made])
    with pytest.raises(CouldNotCheck, match="paymentfc has 1 messages to consume, productfc has 1 messages to consume"):
        await rested(still, LIMIT_S)
    await still.pass_all()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE payment_requests SET status = 'FAILED', next_attempt_at = now() + interval '20 s'",
        "UPDATE payments SET expires_at = now(), sweep_after = now() + interval '1 hour'",
        "UPDATE invoice_closings SET step = 'look_again', due_at = now() + interval '1 day', done_at = NULL",
        "UPDATE invoice_closings"
        " SET step = 'expire', due_at = now() + interval '9 s', done_at = NULL, last_error = 'no'",
    ],
)
async def test_work_that_is_due_later_is_not_waited_for(still: World, sql: str) -> None:
    await still.sql("paymentfc", sql)
    assert (await rested(still)).exit_code == 0


async def test_a_parked_event_is_not_waited_for(still: World) -> None:
    made = new_sample("paid")
    park("payment.success", recorded=True)(made)
    await still.store([made])
    report = await rested(still)
    assert (report.counts, report.exit_code) == ({"event_parked": 1}, 0)


async def test_one_look_that_finds_nothing_is_not_enough_and_messages_must_not_grow(
    still: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([([], 5), ([], 6), (["work"], 6), ([], 6), ([], 6)])

    async def look(*_: object) -> tuple[list[str], int]:
        return next(looks)

    monkeypatch.setattr("fc.audit.quiesce._left", look)
    await rested(still)
    assert list(looks) == []


async def test_it_waits_until_the_work_is_done(still: World) -> None:
    await still.sql("orderfc", "UPDATE outbox SET published_at = NULL")
    audit = asyncio.create_task(rested(still, 60))
    await asyncio.sleep(0)
    await still.sql("orderfc", "UPDATE outbox SET published_at = created_at")
    assert (await audit).exit_code == 0


async def test_at_rest_nothing_can_be_on_its_way_however_young_it_is(still: World) -> None:
    made = new_sample("paid", age_s=1)
    await still.store([made])
    await ledger("state = 'RELEASED', updated_at = now()")(still, made)
    await still.balance()
    limits = Limits(grace_s=1000)
    assert (await still.audit(limits=limits, ignore=["event_ghost"])).counts == {}
    assert (await rested(still, limits=limits)).counts == {"stock_taken": 1}


async def test_without_kafka_nobody_can_tell_whether_the_platform_rests(bare: World) -> None:
    with pytest.raises(CouldNotCheck, match="without Kafka"):
        await bare.audit(quiesce_s=1)
