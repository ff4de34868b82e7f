"""Payments on a real database: callbacks, polls and events in any order, concurrent and repeated, lose no money."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.db.database import Database
from chassis.events import Message
from paymentfc.config import Settings
from paymentfc.events import OrderCancelled, OrderCreated, StockRejected
from paymentfc.model.callback import Callback
from paymentfc.model.payment import Payment, Status
from paymentfc.usecase.check_invoices import CheckInvoices
from testkit.properties import Burst, Delivery, arrived, deliver, examples, first_of, schedules

from .bench import Bench
from .fakes import FakeXendit

PAID_WORDS, AMOUNT = ("PAID", "SETTLED"), 150_000
ORDER, REJECTION, CANCELLATION = "order.created", "stock.rejected", "order.cancelled"
# The order knows these itself; the reason is that of a payment that they close.
ENDS = {REJECTION: "stock_rejected", CANCELLATION: "order_cancelled"}


@dataclass(frozen=True)
class News:
    """One input of a payment: a webhook, a poll, a sweep or an event; `twin`: about an unknown invoice."""

    channel: str
    word: str = ""
    amount: int = AMOUNT
    currency: str = "IDR"
    twin: bool = False

    @property
    def status(self) -> str:
        """The status at the gateway afterwards: a sweep expires an open invoice."""
        return "EXPIRED" if (self.channel, self.word) == ("sweep", "PENDING") else self.word

    @property
    def fits(self) -> bool:
        """Whether amount and currency are those of the payment."""
        return (self.amount, self.currency) == (AMOUNT, "IDR")

    @property
    def leads_to(self) -> Status | None:
        """The status that an open payment takes; None for no change."""
        if self.channel in ENDS:
            return Status.FAILED
        if self.is_wrong_money_at_the_end:
            return Status.FAILED
        if self.twin or not (self.fits or (self.channel, self.status) == ("sweep", "EXPIRED")):
            return None
        return Status.PAID if self.status in PAID_WORDS else Status.EXPIRED if self.status == "EXPIRED" else None

    @property
    def is_wrong_money_at_the_end(self) -> bool:
        """Whether a sweep finds money that can't pay the order."""
        return self.channel == "sweep" and not self.fits and self.status in PAID_WORDS

    @property
    def anomalies(self) -> set[str]:
        """The kinds of anomaly that must be recorded in any case."""
        if self.channel in ENDS:
            return set()
        if self.twin:
            return {"unknown_invoice"}
        if self.status == "REFUNDED":
            return {"unknown_status"}
        wrong = {"amount_mismatch": self.amount != AMOUNT, "currency_mismatch": self.currency != "IDR"}
        return {kind for kind, found in wrong.items() if found}


def received(topic: str, order_id: int, delivery: Delivery[News], example: Any) -> Message:
    return Message(topic, 0, 0, f"order-{order_id}", b"{}", {}, str(delivery.event_id(example)))


async def gateway_says(bench: Bench, payment: Payment, news: News) -> None:
    """Run a poll or a sweep that reads an invoice with the status and amount of `news`."""
    xendit = FakeXendit()
    fields = {"id": payment.invoice_id, "currency": news.currency, "paid_amount": None}
    made = xendit.put(payment.external_id, Decimal(news.amount), news.word)
    xendit.invoices[str(payment.invoice_id)] = made
    xendit.change(payment.invoice_id, **fields)
    checks = CheckInvoices(bench.db, xendit, bench.settings)
    await (checks.sweep(payment) if news.channel == "sweep" else checks.check(payment))


async def play(bench: Bench, schedule: list[Burst[News]], payment: Payment | int, ours: str) -> None:
    """Run the schedule; `payment` may be the number of an order that is not registered yet."""
    example, order_id = uuid4(), payment if isinstance(payment, int) else payment.order_id

    async def send(delivery: Delivery[News]) -> None:
        news = delivery.event
        if news.channel == ORDER:
            order = OrderCreated(order_id=order_id, user_id=3, total_amount=Decimal(AMOUNT))
            await bench.register(received(ORDER, order_id, delivery, example), order)
        elif news.channel == REJECTION:
            rejected = StockRejected(order_id=order_id, reason="out of stock")
            await bench.reject(received(REJECTION, order_id, delivery, example), rejected)
        elif news.channel == CANCELLATION:
            cancelled = OrderCancelled(order_id=order_id, reason="by mistake")
            await bench.cancel(received(CANCELLATION, order_id, delivery, example), cancelled)
        elif news.channel == "webhook":
            invoice = f"twin-{order_id}" if news.twin else ours
            said = Callback(invoice, f"order-{order_id}", news.word, Decimal(news.amount), None, news.currency)
            await bench.receive(said)
        else:
            assert isinstance(payment, Payment)
            await gateway_says(bench, payment, news)

    async def purge() -> None:
        await bench.execute("DELETE FROM inbox")
        await bench.execute("DELETE FROM payment_callbacks WHERE outcome <> 'waiting'")

    await deliver(schedule, send, purge)


async def anomalies(bench: Bench, order_id: int) -> list[tuple[Any, ...]]:
    """Return the anomalies of an order, sorted."""
    sql = "SELECT invoice_id, kind, amount, currency FROM payment_anomalies WHERE external_id = $1"
    return sorted(tuple(row.values()) for row in await bench.rows(sql, f"order-{order_id}"))


async def topics(bench: Bench, order_id: int) -> list[object]:
    """Return the topics of an order's events, sorted."""
    return sorted(event["topic"] for event in await bench.events(order_id))


@pytest.fixture(scope="module")
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    """One bench for all examples of this module. A callback counts as it comes: its word is what is tested."""
    db = Database(settings)
    yield Bench(settings.model_copy(update={"xendit_confirm_payments": False}), db)
    await db.close()


words = st.sampled_from(["PAID", "SETTLED", "EXPIRED", "PENDING", "REFUNDED"])
amounts = st.sampled_from([AMOUNT, AMOUNT, AMOUNT, AMOUNT - 1])
webhooks = st.builds(
    News,
    st.just("webhook"),
    words,
    amounts,
    st.sampled_from(["IDR", "IDR", "USD", ""]),
    st.sampled_from([False] * 3 + [True]),
)
polls = st.builds(News, st.sampled_from(["poll", "sweep"]), words, amounts, st.sampled_from(["IDR", "IDR", "USD"]))
ends = st.sampled_from([News(REJECTION), News(CANCELLATION)])


@examples(60)
@given(schedules(webhooks | polls | webhooks | polls | ends))
async def test_an_invoiced_payment_ends_as_the_first_news_says_and_every_other_case_is_on_record_once(
    bench: Bench, schedule: list[Burst[News]]
) -> None:
    payment = await bench.invoiced()
    number, ours = payment.order_id, str(payment.invoice_id)
    await play(bench, schedule, payment, ours)
    found, told = await bench.payment(number), arrived(schedule)
    first = {news.leads_to for news in first_of(schedule, lambda news: news.leads_to is not None)}
    assert found.status in (first or {Status.PENDING})

    paid = any(news.leads_to is Status.PAID for news in told)
    refund = paid and (found.status is not Status.PAID or any(news.channel in ENDS for news in told))
    assert (found.late_paid_at is not None) is (paid and found.status is not Status.PAID)
    expected = {
        (f"twin-{number}" if news.twin else ours, kind, str(news.amount), news.currency)
        for news in told
        for kind in news.anomalies
    }
    expected |= {(ours, "paid_after_close", str(AMOUNT), "IDR")} if refund else set()
    assert await anomalies(bench, number) == sorted(expected)

    failures = ["payment.failed"] if found.status is Status.EXPIRED or found.reason == "amount_mismatch" else []
    wrong = {f"amount:{news.amount} {news.currency}" for news in told if news.is_wrong_money_at_the_end}
    sources = [row["source"] for row in await bench.rows("SELECT source FROM refunds WHERE order_id = $1", number)]
    assert sorted(sources) == sorted([*wrong, *(["taken"] if refund else [])])
    assert found.reason not in ENDS.values() or found.reason in {ENDS.get(news.channel) for news in told}
    assert await topics(bench, number) == failures + (["payment.success"] if paid else [])
    moves = [
        event for event in await bench.audits(number) if event in ("payment.paid", "payment.expired", "payment.failed")
    ]
    assert moves == ([] if found.status is Status.PENDING else [f"payment.{found.status.value.lower()}"])


early = st.builds(
    News,
    st.just("webhook"),
    st.sampled_from(["PAID", "SETTLED", "EXPIRED"]),
    twin=st.sampled_from([False, False, True]),
)


@examples(50)
@given(schedules(early | early | ends | st.just(News(ORDER))))
async def test_news_that_overtakes_its_order_is_applied_or_on_record_when_the_order_appears(
    bench: Bench, schedule: list[Burst[News]]
) -> None:
    number = bench.new_id()
    ours, twin = f"early-{number}", f"twin-{number}"
    await play(bench, [*schedule, Burst((Delivery(News(ORDER)),))], number, ours)
    found, told = await bench.payment(number), arrived(schedule)
    sql = "SELECT invoice_id, kind FROM payment_anomalies WHERE external_id = $1 AND resolved_at IS NULL"
    rows = await bench.rows(sql, f"order-{number}")
    open_cases = {row["invoice_id"] for row in rows if row["kind"] == "unknown_invoice"}
    paid = {twin if news.twin else ours for news in told if news.word in PAID_WORDS}
    ended = {twin if news.twin else ours for news in told if news.word == "EXPIRED"}

    settled = found.status is Status.PAID or found.late_paid_at is not None
    assert settled is (found.invoice_id in paid)
    assert found.invoice_id not in open_cases
    assert paid - {found.invoice_id} <= open_cases, "money for another invoice is for a person to give back"
    assert found.status is not Status.EXPIRED or found.invoice_id in ended
    assert found.status is not Status.FAILED or found.reason in {ENDS.get(news.channel) for news in told}
    assert (found.status is Status.PENDING) is not bool(told - {News(ORDER)})
    if settled and (found.status is not Status.PAID or any(news.channel in ENDS for news in told)):
        assert "paid_after_close" in {case[1] for case in await anomalies(bench, number)}

    failures = ["payment.failed"] if found.status is Status.EXPIRED else []
    assert await topics(bench, number) == failures + (["payment.success"] if settled else [])
    await bench.invoice()
    live = bench.xendit.live(f"order-{number}")
    assert len(live) == (found.status is Status.PENDING)
