"""The rows of a platform that has grown, made by the database itself: the statements by service, in their order.

`{orders}`, `{published}` and `{waiting}` are numbers. Half of the orders are those of customer 1.
"""

from dataclasses import asdict, dataclass

import asyncpg


@dataclass(frozen=True, slots=True)
class Size:
    """How many orders (and payments), published events, and rows that back off."""

    orders: int
    published: int
    waiting: int


SMALL = Size(200, 50, 10)
GROWN = Size(1_000_000, 2_000_000, 300_000)

_PUBLISHED = """
INSERT INTO outbox (event_id, topic, key, payload, headers, created_at, published_at)
SELECT gen_random_uuid(), CASE WHEN n % 2 = 0 THEN 'order.created' ELSE 'stock.updated' END, 'order-' || n,
  jsonb_build_object('order_id', n, 'user_id', n % 1000), '{{}}', now() - interval '3 days', now() - interval '3 days'
FROM generate_series(1, {published}) n
"""
_BACKING_OFF = """
INSERT INTO outbox (event_id, topic, key, payload, headers, attempts, next_attempt_at, last_error)
SELECT gen_random_uuid(), 'order.created', 'waiting-' || n, jsonb_build_object('order_id', n), '{{}}', 3,
  now() + interval '1 hour', 'the broker is away'
FROM generate_series(1, {waiting}) n
"""
_INBOX = """
INSERT INTO inbox (consumer, event_id, received_at) SELECT 'group', gen_random_uuid(), now() - interval '3 days'
FROM generate_series(1, {orders})
"""
ROWS: dict[str, tuple[str, ...]] = {
    "orderfc": (
        """
        INSERT INTO orders (user_id, status, total_amount, total_qty, currency, payment_method, shipping_address,
          created_at)
        SELECT CASE WHEN n % 2 = 0 THEN 1 ELSE 2 + n % 50000 END, CASE WHEN n = 100 THEN 4 WHEN n % 50 = 0 THEN 0
          ELSE 2 END, 45000, 3, 'IDR', 'BANK_TRANSFER', 'Jalan Merdeka ' || n, now() - interval '30 days'
        FROM generate_series(1, {orders}) n
        """,
        "INSERT INTO order_items SELECT n, n % 1000 + 1, 'Kopi', 3, 15000 FROM generate_series(1, {orders}) n",
        """
        INSERT INTO order_history (order_id, status, cause) SELECT n, s, 'checkout'
        FROM generate_series(1, {orders}) n, unnest('{{0,2}}'::int[]) s
        """,
        """
        INSERT INTO idempotency_keys (user_id, key, request_hash, lease_token, leased_until, order_id)
        SELECT n % 50000, 'key-' || n, decode(repeat('00', 32), 'hex'), gen_random_uuid(), now(), n
        FROM generate_series(1, {waiting}) n
        """,
        _PUBLISHED,
        _BACKING_OFF,
        _INBOX,
    ),
    "paymentfc": (
        """
        INSERT INTO payments (order_id, user_id, external_id, amount, currency, status, payment_method,
          shipping_address, invoice_id, invoice_url, invoice_time, expires_at, sweep_after, check_after, create_time)
        SELECT n, n % 50000 + 1, 'order-' || n, 45000, 'IDR', CASE WHEN n <= {waiting} THEN 'PENDING'
          WHEN n % 20 = 0 THEN 'EXPIRED' ELSE 'PAID' END, 'BANK_TRANSFER', 'Jalan Merdeka ' || n, 'invoice-' || n,
          'https://pay.example/' || n, now() - interval '2 days', now() - interval '1 day',
          now() + interval '1 hour' + n * interval '1 ms', now() + interval '1 hour', now() - interval '2 days'
        FROM generate_series(1, {orders}) n
        """,
        """
        INSERT INTO payment_requests (payment_id, order_id, status, attempts, next_attempt_at)
        SELECT n, n, CASE WHEN n <= {waiting} THEN 'FAILED' ELSE 'DONE' END, 3, now() + interval '1 hour'
        FROM generate_series(1, {orders}) n
        """,
        """
        INSERT INTO payment_callbacks (invoice_id, external_id, status, amount, asked_amount, currency, body, outcome)
        SELECT 'invoice-' || n, 'order-' || n, 'PAID', '45000', '45000', 'IDR', '{{"id":"x"}}', 'paid'
        FROM generate_series(1, {orders}) n
        """,
        """
        INSERT INTO invoice_closings (invoice_id, payment_id, external_id, step, due_at)
        SELECT 'invoice-' || n, n, 'order-' || n, 'look_again', now() + interval '1 hour'
        FROM generate_series(1, {waiting}) n
        """,
        """
        INSERT INTO payment_confirmations (invoice_id, external_id, due_at)
        SELECT 'invoice-' || n, 'order-' || n, now() + interval '1 hour' FROM generate_series(1, {waiting}) n
        """,
        """
        INSERT INTO audit_outbox (event_id, order_id, event, actor, due_at)
        SELECT gen_random_uuid(), n, 'payment.created', 'order.created', now() + interval '1 hour'
        FROM generate_series(1, {waiting}) n
        """,
        """
        INSERT INTO failed_events (event_id, topic, key, payload, attempts, retried_at)
        SELECT gen_random_uuid(), 'payment.success', 'order-' || n, '{{}}', 12, now()
        FROM generate_series(1, {waiting}) n
        """,
        _BACKING_OFF,
    ),
    "productfc": (
        "INSERT INTO product_categories (name) VALUES ('Kopi'), ('Teh')",
        """
        INSERT INTO products (name, price, stock, category_id, updated_at)
        SELECT 'Kopi ' || n, 15000, 1000000, 1, now() - interval '1 day' FROM generate_series(1, 1000) n
        """,
        """
        INSERT INTO products (name, price, stock, category_id, updated_at)
        SELECT 'Teh ' || n, 20000 + n, 1000000, 2, now() - interval '1 day' FROM generate_series(1, {waiting}) n
        """,
        """
        INSERT INTO stock_ledger (order_id, product_id, quantity, state, event_id)
        SELECT n, n % 1000 + 1, 3, 'TAKEN', gen_random_uuid() FROM generate_series(1, {orders}) n
        """,
    ),
    "userfc": (
        """
        INSERT INTO users (name, email, password_hash) SELECT 'Ani', 'user' || n || '@example.com', '$argon2id$'
        FROM generate_series(1, {waiting}) n
        """,
        """
        INSERT INTO revoked_tokens (jti, user_id, expires_at, revoked_at)
        SELECT 'jti-' || n, n, now() + interval '30 min', now() - interval '20 min'
        FROM generate_series(1, {waiting}) n
        """,
    ),
}
_INDEXES = """
SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace s ON s.oid = c.relnamespace
WHERE s.nspname = 'public' AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
"""


async def fill(connection: asyncpg.Connection, service: str, size: Size) -> None:
    """Insert the rows and gather statistics. Indexes without a constraint are built at the end, which is faster."""
    await connection.execute(
        "SET session_replication_role = replica; SET synchronous_commit = off; SET maintenance_work_mem = '256MB'"
    )
    indexes = await connection.fetch(_INDEXES)
    for index in indexes:
        await connection.execute(f'DROP INDEX "{index["name"]}"')
    for statement in ROWS[service]:
        await connection.execute(statement.format(**asdict(size)))
    for index in indexes:
        await connection.execute(index["definition"])
    await connection.execute("SET session_replication_role = origin")
    await connection.execute("VACUUM ANALYZE")
