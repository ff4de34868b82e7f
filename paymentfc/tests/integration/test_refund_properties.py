"""Refunds on a real database: whatever cancels, pays, ends, rejects and gives back, in any order and at once.

No more is given back than was paid, nothing twice, and money that was not owed is never without a refund.
"""

import contextlib
from collections import Counter as Counts
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.db.database import Database
from paymentfc.config import Settings
from paymentfc.errors import KeyReused, NotRefundable, RefundNotOpen
from paymentfc.model.payment import Payment, Status
from paymentfc.usecase.request_refund import request_refund
from paymentfc.usecase.settle_refund import settle_refund
from testkit.properties import Burst, Delivery, arrived, deliver, examples, schedules

from .bench import Bench
from .fake_refunds import FakeRefunds
from .refund_counter import ADMIN, Counter

AMOUNT = 150_000
REFUNDS = "SELECT * FROM refunds WHERE order_id = $1 ORDER BY id"
# What happens to an order, and what is done about its refunds.
ENDS = ["cancelled", "rejected"]
EVENTS = ["paid", "expired", *ENDS, "asked 50000", "asked 100000", "asked 0", "approved", "settled", "sent", "told"]
MODES = ["manual", "automatic"]
WORDS = ["SUCCEEDED", "FAILED", "PENDING", "refused"]


class Play:
    """One order whose refunds Xendit ends with `word`."""

    def __init__(self, bench: Bench, payment: Payment, mode: str, word: str) -> None:
        self.bench, self.payment = bench, payment
        self.gateway = FakeRefunds()
        if word == "refused":
            self.gateway.faults = ["400 REFUND_NOT_SUPPORTED"] * 99
        else:
            self.gateway.outcome = word
        self.counter = Counter(bench, self.gateway, refund_mode=mode)

    async def send(self, delivery: Delivery[str]) -> None:
        event, order_id = delivery.event, self.payment.order_id
        if event in ("paid", "expired"):
            await self.bench.receive(self.bench.about(self.payment, event.upper()))
        elif event == "cancelled":
            await self.bench.cancelled(order_id)
        elif event == "rejected":
            await self.bench.rejected(order_id)
        elif event.startswith("asked"):
            await self._ask(Decimal(event.split()[1]) or None, f"{order_id} {event} {delivery.number}")
        elif event == "sent":
            await self.counter.work_later()
        else:
            for row in await self.bench.rows(REFUNDS, order_id):
                await self.act(event, row["id"])

    async def _ask(self, amount: Decimal | None, key: str) -> None:
        with contextlib.suppress(NotRefundable, KeyReused):
            await request_refund(self.bench.db, ADMIN, self.payment.order_id, amount, "broken", key)

    async def act(self, event: str, refund_id: int) -> None:
        try:
            if event == "approved":
                await self.counter.approve(refund_id)
            elif event == "settled":
                await settle_refund(self.bench.db, ADMIN, refund_id, "by hand")
            else:
                await self.counter.told(refund_id)
        except RefundNotOpen:
            pass


@pytest.fixture(scope="module")
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    """One bench for all examples of this module. A callback counts as it comes."""
    db = Database(settings)
    yield Bench(settings.model_copy(update={"xendit_confirm_payments": False}), db)
    await db.close()


def check(rows: list[dict[str, Any]], found: Payment, told: frozenset[str], gateway: FakeRefunds) -> None:
    came_in = AMOUNT if found.was_paid else 0
    given_back = sum(row["amount"] for row in rows)
    assert given_back <= came_in
    for_nothing = found.late_paid_at is not None or (found.status is Status.PAID and bool(told & set(ENDS)))
    assert not for_nothing or given_back == AMOUNT, "money that was not owed has its refunds"
    assert Counts(row["source"] for row in rows)["taken"] <= 1
    for row in rows:
        made = gateway.made.get(f"refund-{row['id']}")
        gave = made is not None and made.status == "SUCCEEDED"
        assert (row["status"] == "SUCCEEDED") is gave, "what Xendit has given back, nobody gives back by hand"
        assert made is None or (made.amount, made.currency) == (row["amount"], row["currency"])


@examples(50)
@given(schedules(st.sampled_from(EVENTS), max_bursts=7), st.sampled_from(MODES), st.sampled_from(WORDS))
async def test_refunds_never_exceed_payments_and_are_never_made_twice(
    bench: Bench, schedule: list[Burst[str]], mode: str, word: str
) -> None:
    payment = await bench.invoiced()
    await bench.execute("DELETE FROM refunds")
    play, told = Play(bench, payment, mode, word), arrived(schedule)

    async def purge() -> None:
        await bench.execute("DELETE FROM inbox")

    await deliver(schedule, play.send, purge)
    await play.counter.work_later()
    rows = await bench.rows(REFUNDS, payment.order_id)
    check(rows, await bench.payment(payment.order_id), told, play.gateway)
    # The end: what is pending succeeds, and what is open a person settles.
    for name in list(play.gateway.made):
        if play.gateway.made[name].status == "PENDING":
            play.gateway.end(int(name.removeprefix("refund-")))
    await play.counter.work_later()
    for row in rows:
        await play.act("settled", row["id"])
    rows = await bench.rows(REFUNDS, payment.order_id)
    assert {row["status"] for row in rows} <= {"SUCCEEDED", "SETTLED"}
    check(rows, await bench.payment(payment.order_id), told, play.gateway)
    entries = Counts(event for event in await bench.audits(payment.order_id) if event.startswith("refund."))
    assert entries["refund.due"] == len(rows)
    assert entries["refund.succeeded"] == sum(row["status"] == "SUCCEEDED" for row in rows)
    assert entries["refund.settled"] == sum(row["status"] == "SETTLED" for row in rows)
    assert entries["refund.requested"] == sum(row["requested_at"] is not None for row in rows)


async def test_two_permutations_of_the_same_events_end_in_the_same_refunds(bench: Bench) -> None:
    """The order of arrival decides on the cause; the money that is due is the same."""
    sums = set()
    for order in (
        ["paid", "cancelled", "rejected"],
        ["cancelled", "paid", "rejected"],
        ["rejected", "cancelled", "paid"],
    ):
        payment = await bench.invoiced()
        play = Play(bench, payment, "manual", "SUCCEEDED")
        for event in order:
            await play.send(Delivery(event, uuid4().int))
        rows = await bench.rows(REFUNDS, payment.order_id)
        sums.add((len(rows), sum(row["amount"] for row in rows)))
    assert sums == {(1, AMOUNT)}
