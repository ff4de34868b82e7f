"""Whole orders: a burst that is paid at once, a steady rate, and the callbacks of payments."""

import asyncio
import json
import time
from typing import Any

import httpx2

from bench.speed.disk import disk, per_unit
from bench.speed.errors import Unmeasured
from bench.speed.figures import Sample, per_unit_us, percentile
from bench.speed.load import wrk
from bench.speed.pace import Pace
from bench.speed.processes import opened, wait_until
from bench.speed.reads import CONNECTIONS, loaded
from bench.speed.rows import Group, Row
from bench.speed.seed import basket, baskets
from bench.speed.side import XENDIT, Side
from bench.speed.stand_in import callback
from bench.speed.steps import steps
from fc.audit.rules.rule import Level
from fc.audit.run import run_audit
from fc.platform.errors import CouldNotCheck

RATE = 20
CALLBACKS = 16
WARM = 40
POLL_S, WATCH_S = 0.3, 0.002
SAGA_S, REST_S = 240, 240
READ_AGAIN = 2
_LAST = "SELECT coalesce(max(id), 0) FROM orders"
_OPEN = "SELECT count(*) FROM orders WHERE status = 0"
_COMPLETED = "SELECT count(*) FROM orders WHERE id > $1 AND status = 2"
_SPAN = """
SELECT extract(epoch FROM max(h.created_at) - min(o.created_at))::float8
FROM orders o JOIN order_history h ON h.order_id = o.id WHERE o.id > $1
"""
_INVOICED = "SELECT count(*) FROM payments WHERE order_id > $1 AND invoice_id IS NOT NULL AND status = 'PENDING'"
_PAID = "SELECT count(*) FROM payments WHERE order_id > $1 AND status = 'PAID'"
_PAID_IN = """
SELECT extract(epoch FROM max(p.paid_at) - min(c.create_time))::float8
FROM payments p JOIN payment_callbacks c ON c.external_id = p.external_id WHERE p.order_id > $1
"""


def _prepare(side: Side, _pace: Pace) -> None:
    """Start everything, and let a few orders through; what an earlier row has left goes with them."""
    side.control("pay/on")
    side.run_all()
    wrk(side.port("orderfc"), baskets(side), CONNECTIONS, count=WARM)
    _wait_for_none_open(side)


def _wait_for_none_open(side: Side) -> None:
    wait_until(lambda: side.value("orderfc", _OPEN) == 0, "orders are still open", SAGA_S, poll_s=POLL_S)


def _wait_for(side: Side, service: str, sql: str, first: int, count: int, what: str) -> None:
    wait_until(lambda: side.value(service, sql, first) == count, f"not {count} {what}", SAGA_S, poll_s=POLL_S)


def burst(side: Side, pace: Pace) -> Sample:
    """Place so many orders as fast as they are taken, each paid as soon as it has an invoice."""
    side.control("pay/on")
    first = side.value("orderfc", _LAST)
    stored, before = disk(side), side.cpu_s()
    answers = wrk(side.port("orderfc"), baskets(side), CONNECTIONS, count=pace.burst)
    if answers.bad:
        raise Unmeasured(f"{answers.bad} checkouts were refused")
    _wait_for(side, "orderfc", _COMPLETED, first, pace.burst, "orders are completed")
    cpu_us = per_unit_us(before, side.cpu_s(), pace.burst)
    # What stands in for Xendit is no part of the platform.
    cpu_ms = sum(us for name, us in cpu_us.items() if name != XENDIT) / 1000
    rate = pace.burst / side.value("orderfc", _SPAN, first)
    taken = per_unit(stored, disk(side), pace.burst)
    return Sample({"rate": rate, "checkouts": answers.rate, "cpu_ms": cpu_ms, **taken}, cpu_us)


def steady(side: Side, pace: Pace) -> Sample:
    """Place twenty orders a second, and look every 2 ms which are completed."""
    side.control("pay/on")
    sent, answered, completed = asyncio.run(_steady(side, int(pace.steady_s * RATE)))
    took = [(completed[order] - sent[order]) * 1000 for order in sent]
    shares = {"answered": percentile([(answered[order] - sent[order]) * 1000 for order in sent], 0.5)}
    shares |= steps(side, sent)
    shares["seen completed"] = percentile(took, 0.5)
    return Sample({"p50_ms": percentile(took, 0.5), "p99_ms": percentile(took, 0.99)}, shares=shares)


Times = dict[int, float]


async def _steady(side: Side, orders: int) -> tuple[Times, Times, Times]:
    """Return when each order was sent, answered and seen completed, in seconds since 1970."""
    sent: Times = {}
    answered: Times = {}
    completed: Times = {}
    url = f"http://127.0.0.1:{side.port('orderfc')}/v1/orders/checkout"

    async def place(client: httpx2.AsyncClient, number: int) -> None:
        headers, body = basket(side, number)
        began = time.time()
        answer = await client.post(url, headers=headers, json=body)
        if answer.status_code != 201:
            raise Unmeasured(f"a checkout was answered with {answer.status_code}: {answer.text[:200]}")
        order = int(answer.json()["order_id"])
        sent[order], answered[order] = began, time.time()

    async with httpx2.AsyncClient(timeout=15, trust_env=False) as client, asyncio.TaskGroup() as group:
        group.create_task(_watch(side, orders, answered, completed))
        began = time.monotonic()
        for number in range(orders):
            group.create_task(place(client, number))
            await asyncio.sleep(max(0.0, began + (number + 1) / RATE - time.monotonic()))
    return sent, answered, completed


async def _watch(side: Side, orders: int, answered: Times, completed: Times) -> None:
    """Note when each answered order is completed, until all are. Raises Unmeasured."""
    connection = await side.connect("orderfc")
    deadline = time.monotonic() + orders / RATE + 60
    try:
        while len(completed) < orders:
            if time.monotonic() > deadline:
                raise Unmeasured(f"{len(completed)} of {orders} orders were completed")
            if waiting := list(answered.keys() - completed.keys()):
                sql = "SELECT id FROM orders WHERE id = ANY($1::bigint[]) AND status = 2"
                now_completed = await connection.fetch(sql, waiting)
                completed |= dict.fromkeys((row["id"] for row in now_completed), time.time())
            await asyncio.sleep(WATCH_S)
    finally:
        await connection.close()


def webhook(side: Side, pace: Pace) -> Sample:
    """Send the callbacks of so many paid invoices while paymentfc has only them to do."""
    side.control("pay/off")
    side.run_all()
    first = side.value("orderfc", _LAST)
    wrk(side.port("orderfc"), baskets(side), CONNECTIONS, count=pace.webhooks)
    _wait_for(side, "paymentfc", _INVOICED, first, pace.webhooks, "payments have an invoice")
    side.control("pay/all")
    requests = _callbacks(side, first)
    side.run(userfc="serve", paymentfc="serve")
    port = side.port("paymentfc")
    sample = loaded(side, lambda: wrk(port, requests, CALLBACKS, count=len(requests)))
    _wait_for(side, "paymentfc", _PAID, first, len(requests), "payments are PAID")
    confirmed = len(requests) / side.value("paymentfc", _PAID_IN, first)
    side.run_all()
    _wait_for_none_open(side)
    side.control("pay/on")
    return Sample({**sample.figures, "confirmed": confirmed}, sample.cpu_us)


def _callbacks(side: Side, first: int) -> list[bytes]:
    invoices: list[dict[str, Any]] = json.loads(opened(f"http://127.0.0.1:{side.xendit_port}/_sim/invoices"))
    new = [one for one in invoices if int(one["external_id"].removeprefix("order-")) > first]
    return [callback(one, side.webhook_token) for one in new]


def audit(side: Side) -> list[str]:
    """Wait for rest, audit everything, and return the violations and what could not be read.

    What could not be read is read again: the server that stands in for MongoDB may reuse a page that it is reading.
    """
    side.control("pay/on")
    side.run_all()
    try:
        report = asyncio.run(run_audit(side.sources(), quiesce_s=REST_S))
        for _ in range(READ_AGAIN):
            if report.unread:
                report = asyncio.run(run_audit(side.sources(), quiesce_s=REST_S))
    except CouldNotCheck as error:
        return [f"not audited: {error}"]
    violations = [str(one.as_json()) for one in report.findings if one.level is Level.VIOLATION]
    return [*violations, *(f"not read: {why}" for why in report.unread.values())]


SAGA = Group(
    # The first starts services anew. Memory is read after the others.
    rows=[
        Row("webhook", webhook, "paymentfc"),
        Row("burst", burst, "paymentfc"),
        Row("steady", steady, "orderfc"),
    ],
    prepare=_prepare,
    orders=True,
)
