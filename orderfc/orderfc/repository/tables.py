"""The tables of orderfc: the source that the migrations are checked against."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

from chassis.db.schema import inbox_table, metadata_factory, outbox_table
from orderfc.repository.orders import ERASED

metadata = metadata_factory()

AMOUNT = Numeric(12, 2)

orders = Table(
    "orders",
    metadata,
    # "By default", because checkout takes the number from the sequence first: the events carry it too.
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("status", SmallInteger, nullable=False, server_default=text("0")),
    Column("total_amount", AMOUNT, nullable=False),
    Column("total_qty", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("payment_method", Text, nullable=False),
    Column("shipping_address", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("user_id > 0", name="user_id"),
    CheckConstraint("status BETWEEN 0 AND 4", name="status"),
    CheckConstraint("total_amount > 0 AND total_amount <= 9999999999", name="total_amount"),
    CheckConstraint("total_qty BETWEEN 1 AND 100000", name="total_qty"),
    CheckConstraint("length(payment_method) BETWEEN 1 AND 64", name="payment_method"),
    CheckConstraint("length(shipping_address) BETWEEN 1 AND 1000", name="shipping_address"),
    Index("ix_orders_user_id_id", "user_id", "id"),
    Index("ix_orders_user_id_status_id", "user_id", "status", "id"),
    Index("ix_orders_kept_address", "created_at", postgresql_where=text(f"shipping_address <> '{ERASED}'")),
)

order_items = Table(
    "order_items",
    metadata,
    Column("order_id", BigInteger, ForeignKey("orders.id"), primary_key=True),
    Column("product_id", BigInteger, primary_key=True),
    Column("name", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("price", AMOUNT, nullable=False),
    CheckConstraint("product_id > 0", name="product_id"),
    CheckConstraint("quantity BETWEEN 1 AND 1000", name="quantity"),
    CheckConstraint("price >= 0 AND price <= 9999999999", name="price"),
)

order_history = Table(
    "order_history",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("order_id", BigInteger, ForeignKey("orders.id"), nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("cause", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    CheckConstraint("status BETWEEN 0 AND 4", name="status"),
    # A status is entered at most once, so a second writer can't append it again.
    Index("uq_order_history_order_id_status", "order_id", "status", unique=True),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", BigInteger, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("lease_token", UUID(as_uuid=True), nullable=False),
    Column("leased_until", DateTime(timezone=True), nullable=False),
    Column("order_id", BigInteger),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("length(key) BETWEEN 1 AND 255", name="key"),
    CheckConstraint("length(request_hash) = 32", name="request_hash"),
    Index("ix_idempotency_keys_created_at", "created_at"),
)

outbox = outbox_table(metadata)
inbox = inbox_table(metadata)
