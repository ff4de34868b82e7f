"""The consumers and the relay: events that wait when the service starts, and how fast they are gone.

The orders of these events are invented, so they come after the audit; each round checks its own effect.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench.speed.errors import Unmeasured
from bench.speed.figures import Sample, per_unit_us, rate
from bench.speed.pace import Pace
from bench.speed.processes import wait_until
from bench.speed.rows import Group, Row
from bench.speed.seed import POPULAR
from bench.speed.side import Side

DRAIN_S, POLL_S = 180, 0.2
# Nobody consumes it.
RELAY_TOPIC, PARTITIONS = "bench.relay", 6
_TAKEN = "SELECT count(*) FROM stock_ledger WHERE order_id > $1 AND state = 'TAKEN'"
_TAKEN_STEPS = """
SELECT extract(epoch FROM created_at)::float8, count(*) / 2 FROM stock_ledger WHERE order_id > $1 GROUP BY 1
"""
_STOCK = "SELECT sum(stock)::bigint FROM products"
_PIECES = "SELECT coalesce(sum(quantity), 0)::bigint FROM stock_ledger WHERE state = 'TAKEN'"
_ORDERS = """
WITH made AS (
  INSERT INTO orders (id, user_id, status, total_amount, total_qty, currency, payment_method, shipping_address)
  SELECT $1::bigint + n, n % 1000 + 1, 0, 15000, 1, 'IDR', 'BANK_TRANSFER', 'Jalan Merdeka 1'
  FROM generate_series(1, $2::int) n
  RETURNING id),
lines AS (INSERT INTO order_items SELECT id, 1, 'Kopi', 1, 15000 FROM made)
INSERT INTO order_history (order_id, status, cause) SELECT id, 0, 'checkout' FROM made
"""
_COMPLETED = "SELECT count(*) FROM orders WHERE id > $1 AND status = 2"
_COMPLETED_STEPS = """
SELECT extract(epoch FROM created_at)::float8, count(*) FROM order_history
WHERE order_id > $1 AND status = 2 GROUP BY 1
"""
_COMMITTED = """
INSERT INTO outbox (event_id, topic, key, payload, headers)
SELECT gen_random_uuid(), $1, $3 || CASE WHEN $4 THEN '' ELSE n::text END,
  jsonb_build_object('order_id', n, 'user_id', n % 1000, 'total_amount', 45000, 'payment_method', 'BANK_TRANSFER',
    'shipping_address', 'Jalan Merdeka 1, Jakarta', 'products', '[{"product_id": 1, "quantity": 3}]'::jsonb), '{}'
FROM generate_series(1, $2::int) n
"""
_WAITING = "SELECT count(*) FROM outbox WHERE topic = $1 AND published_at IS NULL"
_PUBLISHED_STEPS = """
SELECT extract(epoch FROM published_at)::float8, count(*) FROM outbox WHERE topic = $1 AND key LIKE $2 GROUP BY 1
"""


def _first_order() -> int:
    """Return a number behind which no order has been numbered yet."""
    return int(time.time() * 1000) * 100_000


async def _produce(side: Side, topic: str, source: str, values: Iterable[dict[str, object]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{side.port('kafka')}", linger_ms=5)
    await producer.start()
    try:
        sends = []
        for value in values:
            headers = {"ce_id": str(uuid4()), "ce_type": topic, "ce_source": source, "ce_specversion": "1.0"}
            encoded = [(name, text.encode()) for name, text in headers.items()]
            key = f"order-{value['order_id']}".encode()
            sends.append(await producer.send(topic, json.dumps(value).encode(), key, headers=encoded))
        await asyncio.gather(*sends)
    finally:
        await producer.stop()


def _drained(side: Side, service: str, count: Callable[[], int], total: int) -> dict[str, float]:
    """Start a worker, wait until `count` is `total`, and return the microseconds of CPU per event once it runs."""
    side.start(service, "worker")
    side.wait_ready(service)
    wait_until(lambda: count() > 0, f"{service} took no event", DRAIN_S, poll_s=POLL_S)
    before, done = side.cpu_s(), count()
    wait_until(lambda: count() >= total, f"{service} did not take {total} events", DRAIN_S, poll_s=POLL_S)
    cpu_us = per_unit_us(before, side.cpu_s(), total - done)
    side.stop(service)
    return cpu_us


def stock(side: Side, pace: Pace) -> Sample:
    """Take the stock of orders that have waited for productfc."""
    first, events = _first_order(), pace.stock_events
    before = side.value("productfc", _STOCK), side.value("productfc", _PIECES)
    values = (
        {"order_id": first + n, "products": [{"product_id": p, "quantity": 1} for p in (n % POPULAR + 1, POPULAR + 1)]}
        for n in range(1, events + 1)
    )
    asyncio.run(_produce(side, "stock.updated", "orderfc", values))
    cpu_us = _drained(side, "productfc", lambda: side.value("productfc", _TAKEN, first) // 2, events)
    gone, taken = before[0] - side.value("productfc", _STOCK), side.value("productfc", _PIECES) - before[1]
    if not gone == taken == 2 * events:
        raise Unmeasured(f"{gone} pieces are gone and {taken} taken for {events} orders of two")
    return Sample({"rate": rate(_steps(side, "productfc", _TAKEN_STEPS, first))}, cpu_us)


def payment(side: Side, pace: Pace) -> Sample:
    """Complete orders whose payments have waited for orderfc."""
    first, events = _first_order(), pace.payment_events
    side.query("orderfc", _ORDERS, first, events)
    paid = {"status": "PAID", "topic": "payment.success"}
    values = ({"order_id": first + n, **paid} for n in range(1, events + 1))
    asyncio.run(_produce(side, "payment.success", "paymentfc", values))
    cpu_us = _drained(side, "orderfc", lambda: side.value("orderfc", _COMPLETED, first), events)
    return Sample({"rate": rate(_steps(side, "orderfc", _COMPLETED_STEPS, first))}, cpu_us)


def _steps(side: Side, service: str, sql: str, *values: object) -> list[tuple[float, int]]:
    return [(row[0], row[1]) for row in side.query(service, sql, *values)]


async def _make_topic(side: Side) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{side.port('kafka')}")
    await admin.start()
    try:
        if RELAY_TOPIC not in await admin.list_topics():
            await admin.create_topics([NewTopic(RELAY_TOPIC, PARTITIONS, 1)])
    finally:
        await admin.close()


def _relay(events: Callable[[Pace], int], *, one_key: bool) -> Callable[[Side, Pace], Sample]:
    def measure(side: Side, pace: Pace) -> Sample:
        """Commit so many events at once while the relay looks."""
        asyncio.run(_make_topic(side))
        side.run(orderfc="worker")
        key = f"{uuid4().hex}-"
        before = side.cpu_s()
        side.query("orderfc", _COMMITTED, RELAY_TOPIC, events(pace), key, one_key)

        def sent() -> bool:
            return bool(side.value("orderfc", _WAITING, RELAY_TOPIC) == 0)

        wait_until(sent, "events are still unsent", DRAIN_S, poll_s=POLL_S)
        cpu_us = per_unit_us(before, side.cpu_s(), events(pace))
        return Sample({"rate": rate(_steps(side, "orderfc", _PUBLISHED_STEPS, RELAY_TOPIC, f"{key}%"))}, cpu_us)

    return measure


def _stop_all(side: Side, _pace: Pace) -> None:
    side.run()


CONSUMERS = Group(rows=[Row("stock", stock, "productfc"), Row("payment", payment, "orderfc")], prepare=_stop_all)
RELAY = Group(
    rows=[
        Row("relay", _relay(lambda pace: pace.relay_events, one_key=False), "orderfc"),
        Row("relay-one-key", _relay(lambda pace: pace.keyed_events, one_key=True), "orderfc"),
    ],
    prepare=_stop_all,
)
