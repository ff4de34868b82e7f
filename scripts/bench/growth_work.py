"""The statements of the hot paths and of the loops, run by the functions of the services' own repositories."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

from bench.growth_admin import admin_work_of
from chassis.db import housekeeping, inbox, outbox, outbox_queue
from chassis.db.database import Database, Tx
from chassis.events import Event, Message
from chassis.ids import uuid7
from orderfc.model import Cause, Draft, Status
from orderfc.model import Line as OrderLine
from orderfc.repository import idempotency, orders, placing, transitions
from orderfc.repository.idempotency import Lease
from orderfc.repository.placing import NewOrder, Payloads
from paymentfc.config import Settings as PaymentSettings
from paymentfc.events import OrderCreated
from paymentfc.model.callback import Callback
from paymentfc.model.payment import external_id
from paymentfc.repository import (
    arrivals,
    audit,
    callbacks,
    closings,
    confirmations,
    paying,
    payments,
    receipts,
    requests,
    retention,
)
from paymentfc.repository.registration import register
from productfc.model import Claim
from productfc.model import Line as StockLine
from productfc.repository import products, stock
from productfc.repository.search import Matches, Search, search, walk
from userfc.repository import tokens, users

Work = Callable[[Database], Awaitable[object]]
USER = 1
LIMIT, LEASE_S = 8, 30.0
PAGE = 20
_LINES = (OrderLine(1, "Kopi", 3, Decimal(15000)),)
_PAYLOADS = Payloads("{}", "{}", {})


def in_transaction(work: Callable[..., Awaitable[object]], *arguments: Any) -> Work:
    async def run(db: Database) -> None:
        async with db.transaction() as tx:
            await work(tx, *arguments)

    return run


def on_driver(work: Callable[..., Awaitable[object]], *arguments: Any, **named: Any) -> Work:
    async def run(db: Database) -> None:
        async with db.driver() as connection:
            await work(connection, *arguments, **named)

    return run


async def _once(tx: Tx) -> None:
    await inbox.first_time(tx, "group", Message("t", 0, 0, "k", b"", {}, str(uuid7())))
    await inbox.first_times(tx, "group", [(uuid7(), None)])


async def _publish(tx: Tx) -> None:
    await tx.publish(Event("order.created", f"order-{uuid4()}", '{"order_id":1}'))


async def _send(connection: Any) -> None:
    """Publish one event and fail another, as the relay does."""
    async with connection.transaction():
        await outbox.append(connection, [Event("order.created", key, '{"order_id":1}') for key in ("a", "b")])
    rows = (await outbox_queue.due(connection, 500)).rows
    await outbox_queue.mark_published(connection, [row.id for row in rows[:1]])
    await outbox_queue.record_failure(connection, rows[1], max_tries=9, wait_s=1, parked_wait_s=300)


async def _transition(tx: Tx, order: int) -> None:
    await transitions.apply_in(tx, "group", [(uuid7(), order)], Cause.PAYMENT_FAILED)
    await orders.quantities(tx, [order])


async def _webhook(tx: Tx, order: int) -> None:
    paid = Callback("new", external_id(order), "PAID", Decimal(45000), Decimal(45000), "IDR", "receipt")
    payment = await payments.lock_order(tx, paid.external_id)
    stored = await callbacks.add(tx, paid, "{}", None)
    if payment is None or stored is None:
        raise RuntimeError("the callback is not new, or has no payment")
    await receipts.add(tx, paid)
    await receipts.of_invoice(tx, "new", payment.external_id)
    await callbacks.confirm_again(tx, paid)
    await confirmations.add(tx, "new", payment.external_id)
    await closings.is_listed(tx, "new")
    await payments.pay(tx, payment.id, None)
    await audit.add(tx, audit.AuditEvent.PAYMENT_PAID, payment, "xendit")


async def _usual_payment(db: Database) -> None:
    """Store, claim and confirm the callback that pays an open payment, each in one statement."""
    paid = Callback("invoice-1", external_id(1), "SETTLED", Decimal(45000), Decimal(45000), "IDR", "receipt")
    await arrivals.arrive(db, [arrivals.Arrival.of(paid, "{}", None)])
    [item] = await confirmations.claim(db, LIMIT, LEASE_S)
    if item.payment is None or item.first is None:
        raise RuntimeError("the claim has found no payment, or no callback")
    taken, event = replace(item.payment, receipt=paid.receipt), Event("payment.success", paid.external_id, "{}")
    entry = audit.values(audit.AuditEvent.PAYMENT_PAID, "xendit")
    if await paying.pay(db, [paying.Paying(item, taken, item.first, event, entry)], note="confirmed") != [True]:
        raise RuntimeError("the payment was not paid")


async def _register(tx: Tx, number: int) -> None:
    orders = range(2**40, 2**40 + number)
    await payments.lock_unknown(tx, [external_id(order) for order in orders])
    run = [(Message("t", 0, 0, "k", b"", {}, str(uuid7())), _created(order)) for order in orders]
    entries = [audit.values(audit.AuditEvent.PAYMENT_CREATED, "x") for _ in run]
    if len(await register(tx, "paymentfc", run, "IDR", entries)) != number:
        raise RuntimeError("an order has a payment already")
    await payments.ended_as(tx, orders[0])
    await callbacks.waiting(tx, external_id(orders[0]))


def _created(order: int) -> OrderCreated:
    return OrderCreated(order_id=order, user_id=1, total_amount=Decimal(45000), payment_method="x")


async def _take(tx: Tx) -> None:
    claims = [Claim(2**40, [StockLine(1, 1), StockLine(2, 1)], uuid7())]
    await stock.lock_orders(tx, claims)
    books = await stock.load_for_take(tx, claims)
    await stock.save(tx, claims, [books.take(claims[0])])


async def _give_back(tx: Tx, order: int) -> None:
    claims = [Claim(order, [], uuid7())]
    await stock.lock_orders(tx, claims)
    books = await stock.load_for_return(tx, claims)
    await stock.save(tx, claims, [books.give_back(claims[0])])


def _new_order(user_id: int) -> NewOrder:
    return NewOrder(Draft(user_id, _LINES, "IDR", "BANK_TRANSFER", "Jalan Merdeka 1"), _PAYLOADS)


def _reserve(db: Database) -> Awaitable[object]:
    return idempotency.reserve(db, [Lease(USER, "a new key", b"\0" * 32)], 30)


def _history(**named: Any) -> Work:
    return partial(orders.history, user_id=USER, limit=PAGE, **({"before_id": None, "status": None} | named))


def work_of(orders_stored: int) -> dict[str, dict[str, Work]]:
    """Return service -> what is measured -> the function that does it."""
    # An order of customer 1 that is still open.
    order = orders_stored - 50
    own = {
        "orderfc": _of_orderfc(order, orders_stored // 2 + 1),
        "paymentfc": _of_paymentfc(order),
        "productfc": _of_productfc(order),
        "userfc": _of_userfc(),
    }
    return {service: own[service] | added for service, added in admin_work_of(order).items()}


def _of_orderfc(order: int, middle: int) -> dict[str, Work]:
    return {
        "checkout": lambda db: placing.place(db, [_new_order(7)], 100),
        "checkout, 64 in one statement": lambda db: placing.place(db, [_new_order(n) for n in range(7, 71)], 100),
        "idempotency key": _reserve,
        "one order": lambda db: orders.view(db, order, USER),
        "history, first page": _history(),
        "history, a page in the middle": _history(before_id=middle),
        "history, a rare status": _history(status=Status.FAILED),
        "transition of an order": in_transaction(_transition, order),
        "inbox": in_transaction(_once),
        "outbox, append": in_transaction(_publish),
        "relay, poll": on_driver(outbox_queue.due, 500),
        "relay, poll, mark, fail": on_driver(_send),
        "purge of outbox and inbox": housekeeping.purge,
        "purge of keys": on_driver(idempotency.purge, 5_000, hours=48),
        "erasure of addresses": on_driver(orders.erase_addresses, 5_000, days=3650),
    }


def _of_paymentfc(order: int) -> dict[str, Work]:
    payment_purges = retention.purges(PaymentSettings(environment="test"))
    return {
        "order.created": in_transaction(_register, 1),
        "order.created, 64 in one run": in_transaction(_register, 64),
        "webhook": in_transaction(_webhook, order),
        "the usual payment": _usual_payment,
        "payment of an order": lambda db: payments.by_order(db, order, None),
        "claim of new requests": lambda db: requests.claim_new(db, LIMIT, LEASE_S),
        "claim of failed requests": lambda db: requests.claim_again(db, LIMIT, LEASE_S),
        "claim of one request": lambda db: requests.claim_order(db, order, LEASE_S),
        "claim past expiry": lambda db: payments.claim_past_expiry(db, LIMIT, LEASE_S),
        "claim past expiry of one order": lambda db: payments.claim_past_expiry(db, 1, LEASE_S, order),
        "claim of open invoices": lambda db: payments.claim_open_invoices(db, LIMIT, 60, 60),
        "claim of closings": lambda db: closings.claim(db, LIMIT, LEASE_S),
        "claim of confirmations": lambda db: confirmations.claim(db, LIMIT, LEASE_S),
        "audit entries to deliver": lambda db: audit.due(db, 500),
        **{f"purge {number}": on_driver(purge, 5_000) for number, purge in enumerate(payment_purges, start=1)},
    }


def _of_productfc(order: int) -> dict[str, Work]:
    return {
        "product": lambda db: products.by_id(db, 7),
        "products of a basket": lambda db: products.by_ids(db, [1, 2, 3]),
        "search, a rare name": lambda db: search(db, Search("kopi 99")),
        "search, a category": lambda db: search(db, Search(category="Kopi")),
        "search, a category and a letter": lambda db: search(db, Search("i", "Kopi")),
        "search, prices": lambda db: search(db, Search(max_price=Decimal(15_000), order_by="price")),
        **{
            f"search, a common name by {order}": _walk(Search("teh", order_by=order, sort="desc"))
            for order in ("id", "name", "price")
        },
        "stock.updated": in_transaction(_take),
        "stock.rollback": in_transaction(_give_back, order),
    }


def _walk(query: Search) -> Work:
    """Read a page of matches that were counted before."""
    return lambda db: walk(db, query, Matches(uuid4(), 10_000, 10_000))


def _of_userfc() -> dict[str, Work]:
    return {
        "user by id": lambda db: users.by_id(db, 7),
        "log-in": lambda db: users.for_login(db, "user7@example.com"),
        "revoked token": lambda db: tokens.is_revoked(db, "jti-7"),
        "recently revoked tokens": lambda db: tokens.live(db, "", 1_000, 30),
        "purge of tokens": in_transaction(lambda tx: tokens.purge(tx, 1_000)),
    }
