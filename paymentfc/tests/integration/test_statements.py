"""The statements and round trips of one order, step by step: a path that gains one fails here."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from chassis.config.settings import load
from chassis.db.database import Database
from paymentfc.config import Settings
from paymentfc.events import OrderCreated
from paymentfc.model.callback import Outcome
from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import Status
from paymentfc.repository.arrivals import ARRIVE
from paymentfc.repository.audit import AuditLog
from paymentfc.repository.offers import OFFER
from paymentfc.repository.paying import PAY
from paymentfc.repository.registration import REGISTER
from paymentfc.usecase.deliver_audit import deliver_audit

from .bench import Bench, message
from .runs import created

BRACKETS = ("BEGIN;", "COMMIT;")
# Each is one round trip; what begins and ends a transaction is no statement.
STATEMENTS = {"register": 2, "claim": 1, "invoice": 1, "webhook": 1, "claim to confirm": 1, "confirm": 1}
ROUND_TRIPS = {**STATEMENTS, "register": 4}


class Counter:
    """Counts the calls of asyncpg's connections, whoever lends them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[str] = []
        for name in ("execute", "executemany", "fetch", "fetchrow", "fetchval"):
            monkeypatch.setattr(asyncpg.Connection, name, self._counting(getattr(asyncpg.Connection, name)))

    def _counting(self, call: Any) -> Any:
        async def counted(connection: asyncpg.Connection, statement: str, *arguments: Any, **options: Any) -> Any:
            self.sent.append(statement)
            return await call(connection, statement, *arguments, **options)

        return counted

    async def of(self, step: Awaitable[Any]) -> tuple[Any, int, int]:
        """Return the result of a step, its statements and its round trips."""
        self.sent.clear()
        result = await step
        return result, len([each for each in self.sent if each not in BRACKETS]), len(self.sent)


async def _one_order(bench: Bench, counter: Counter) -> tuple[dict[str, int], dict[str, int]]:
    """Take an order from its event to its payment; return the statements and the round trips of each step."""
    number = bench.new_id()
    order = OrderCreated(order_id=number, user_id=3, total_amount=Decimal(150_000))
    statements, round_trips = {}, {}

    async def step(name: str, work: Awaitable[Any]) -> Any:
        result, statements[name], round_trips[name] = await counter.of(work)
        return result

    await step("register", bench.register(message("order.created", number), order))
    [claim] = await step("claim", bench.create.claim_new(8))
    assert await step("invoice", bench.create.make(claim))
    callback = bench.about(await bench.payment(number), receipt="va_1")
    bench.xendit.agree(callback)
    assert await step("webhook", bench.receive(callback)) is Outcome.CONFIRMING
    [item] = await step("claim to confirm", bench.confirmations.claim(8))
    await step("confirm", bench.confirmations.confirm(item))
    assert (await bench.payment(number)).status is Status.PAID
    return statements, round_trips


async def test_an_order_takes_seven_statements_and_nine_round_trips(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements, round_trips = await _one_order(bench, Counter(monkeypatch))
    assert statements == STATEMENTS
    assert round_trips == ROUND_TRIPS
    assert (sum(statements.values()), sum(round_trips.values())) == (7, 9)


async def test_a_callback_that_overtakes_its_invoice_takes_no_more_statements(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Counter(monkeypatch)
    payment = await bench.order()
    [claim] = await bench.create.claim_new(8)
    told: list[tuple[Any, int, int]] = []

    async def pay_at_once(made: Invoice) -> None:
        callback = bench.about(payment, invoice_id=made.id, receipt="va_1")
        bench.xendit.agree(callback)
        told.append(await counter.of(bench.receive(callback)))

    bench.xendit.on_create = pay_at_once
    _, statements, _ = await counter.of(bench.create.make(claim))
    assert told == [(Outcome.CONFIRMING, 1, 1)]
    assert statements == STATEMENTS["webhook"] + STATEMENTS["invoice"]
    assert await bench.confirm() == 1
    assert (await bench.payment(payment.order_id)).status is Status.PAID
    assert await bench.anomalies(payment.order_id) == []


@pytest.mark.parametrize("orders", [1, 2, 200])
async def test_any_number_of_orders_is_registered_in_two_statements_and_four_round_trips(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, orders: int
) -> None:
    run = [created(bench.new_id()) for _ in range(orders)]
    _, *counts = await Counter(monkeypatch).of(bench.deliver_together(run))
    assert counts == [2, 4]
    assert await bench.rows("SELECT count(*) AS n FROM payment_requests") == [{"n": orders}]


# The indexes that are read, and no table as a whole.
PLANS = {
    "register": (REGISTER, ("pk_rejected_orders", "ix_payment_callbacks_waiting")),
    "arrive": (ARRIVE, ("uq_payments_external_id", "pk_payment_confirmations", "uq_payment_receipts_receipt")),
    "offer": (OFFER, ("pk_payments", "pk_payment_requests")),
    "pay": (
        PAY,
        (
            "pk_payments",
            "uq_payment_callbacks_distinct",
            "uq_payment_receipts_receipt",
            "pk_payment_confirmations",
            "pk_payment_callbacks",
            "uq_payment_anomalies_distinct",
        ),
    ),
}


@pytest.mark.parametrize("name", PLANS)
async def test_the_plan_of_a_statement_for_several_orders_made_while_the_tables_are_empty_reads_none_as_a_whole(
    make_database: Callable[[str], Awaitable[dict[str, Any]]], name: str
) -> None:
    """A connection may keep such a plan while they grow."""
    statement, indexes = PLANS[name]
    db = Database(load(Settings, **await make_database("paymentfc")))
    async with db.driver() as connection:
        count = len((await connection.prepare(statement)).get_parameters())
        await connection.execute(f"SET plan_cache_mode = force_generic_plan; PREPARE planned AS {statement}")
        rows = await connection.fetch(f"EXPLAIN EXECUTE planned({', '.join(['NULL'] * count)})")
    await db.close()
    lines = [row[0].strip() for row in rows]
    plan = "\n".join(lines)
    assert "Seq Scan" not in plan, plan
    reads = [at for at, line in enumerate(lines) if "Index Scan" in line or "Index Only Scan" in line]
    assert all("Index Cond" in lines[at + 1] for at in reads), plan
    # Joined line by line, a run would take the square of its length.
    assert name != "register" or "Join Filter" not in plan, plan
    assert {index for index in indexes if f" {index} " not in plan} == set(), plan


async def test_a_delivery_of_audit_entries_takes_as_many_statements_for_thirty_as_for_one(
    bench: Bench, mongo_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter, log, counts = Counter(monkeypatch), AuditLog(mongo_uri), []
    for orders in (1, 30):
        for _ in range(orders):
            await bench.order()
        _, statements, _ = await counter.of(deliver_audit(bench.db, log))
        counts.append(statements)
        assert await bench.rows("SELECT id FROM audit_outbox") == []
    await log.close()
    assert counts[0] == counts[1] <= 6
