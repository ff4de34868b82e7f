"""The tables of the payment database: the source of the migrations."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from chassis.db.schema import inbox_table, metadata_factory, outbox_table
from paymentfc.repository.columns import id_, now, time
from paymentfc.repository.payments import OPEN
from paymentfc.repository.refund_tables import refund_callback_table, refund_table
from paymentfc.repository.requests import AGAIN, NEW
from paymentfc.repository.retention import FINISHED, KEPT_PERSON

metadata = metadata_factory()
outbox = outbox_table(metadata)
inbox = inbox_table(metadata)

payments = Table(
    "payments",
    metadata,
    id_(),
    Column("order_id", BigInteger, nullable=False, unique=True),
    Column("user_id", BigInteger, nullable=False),
    Column("user_email", Text),
    Column("external_id", Text, nullable=False, unique=True),
    Column("amount", Numeric(14, 2), nullable=False),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'PENDING'")),
    Column("reason", Text),
    Column("payment_method", Text, nullable=False),
    Column("shipping_address", Text, nullable=False),
    Column("lines", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("invoice_id", Text, unique=True),
    Column("invoice_url", Text),
    time("invoice_time"),
    time("expires_at"),
    time("paid_at"),
    time("late_paid_at"),
    Column("receipt", Text),
    Column("retry_count", Integer, nullable=False, server_default=text("0")),
    Column("traceparent", Text),
    time("sweep_after"),
    time("check_after"),
    now("create_time"),
    now("update_time"),
    CheckConstraint("amount > 0", name="amount_positive"),
    CheckConstraint("status IN ('PENDING', 'PAID', 'EXPIRED', 'FAILED')", name="status_known"),
    Index("ix_payments_sweep_first", "expires_at", postgresql_where=text(f"{OPEN} AND sweep_after IS NULL")),
    Index("ix_payments_sweep_again", "sweep_after", postgresql_where=text(f"{OPEN} AND sweep_after IS NOT NULL")),
    Index("ix_payments_check_first", "invoice_time", postgresql_where=text(f"{OPEN} AND check_after IS NULL")),
    Index("ix_payments_check_again", "check_after", postgresql_where=text(f"{OPEN} AND check_after IS NOT NULL")),
    Index("ix_payments_kept_person", "create_time", postgresql_where=text(KEPT_PERSON)),
    Index("ix_payments_failed", "id", postgresql_where=text("status IN ('EXPIRED', 'FAILED')")),
)

payment_requests = Table(
    "payment_requests",
    metadata,
    id_(),
    Column("payment_id", BigInteger, ForeignKey("payments.id"), nullable=False, unique=True),
    Column("order_id", BigInteger, nullable=False, unique=True),
    Column("status", Text, nullable=False, server_default=text("'PENDING'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("retry_count", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    now("next_attempt_at"),
    time("lease_until"),
    Column("lease_token", UUID(as_uuid=True)),
    now("create_time"),
    now("update_time"),
    CheckConstraint("status IN ('PENDING', 'FAILED', 'VERIFY', 'DONE', 'CANCELLED', 'EXHAUSTED')", name="status_known"),
    Index("ix_payment_requests_new", "next_attempt_at", "id", postgresql_where=text(NEW)),
    Index("ix_payment_requests_again", "next_attempt_at", "id", postgresql_where=text(AGAIN)),
    Index("ix_payment_requests_finished", "update_time", postgresql_where=text(FINISHED)),
)

rejected_orders = Table(
    "rejected_orders",
    metadata,
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
    now("create_time"),
    Column("cause", Text, nullable=False, server_default=text("'stock_rejected'")),
)

payment_callbacks = Table(
    "payment_callbacks",
    metadata,
    id_(),
    Column("invoice_id", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("amount", Text, nullable=False),
    Column("asked_amount", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("webhook_id", Text),
    Column("receipt", Text),
    Column("outcome", Text, nullable=False, server_default=text("'waiting'")),
    Column("deliveries", Integer, nullable=False, server_default=text("1")),
    now("create_time"),
    time("applied_time"),
    UniqueConstraint("invoice_id", "external_id", "status", "amount", "currency", name="uq_payment_callbacks_distinct"),
    Index("ix_payment_callbacks_kept_body", "create_time", postgresql_where=text("body <> ''")),
    Index("ix_payment_callbacks_waiting", "external_id", postgresql_where=text("outcome = 'waiting'")),
)

# Xendit is asked about the invoice before the callbacks with the outcome `confirming` take effect.
payment_confirmations = Table(
    "payment_confirmations",
    metadata,
    Column("invoice_id", Text),
    Column("external_id", Text),
    now("due_at"),
    Column("looks", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    Column("traceparent", Text),
    now("create_time"),
    PrimaryKeyConstraint("external_id", "invoice_id"),
    Index("ix_payment_confirmations_due", "due_at"),
)

# Every payment of an invoice that a callback has named; `receipt` is Xendit's `payment_id`.
payment_receipts = Table(
    "payment_receipts",
    metadata,
    id_(),
    Column("invoice_id", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("receipt", Text, nullable=False),
    Column("amount", Text, nullable=False),
    Column("currency", Text, nullable=False),
    now("create_time"),
    UniqueConstraint("invoice_id", "external_id", "receipt", name="uq_payment_receipts_receipt"),
)

# `amount` is part of the case only. That of a further payment ends with its receipt, so that each is a case.
payment_anomalies = Table(
    "payment_anomalies",
    metadata,
    id_(),
    Column("order_id", BigInteger),
    Column("payment_id", BigInteger, ForeignKey("payments.id")),
    Column("external_id", Text, nullable=False),
    Column("invoice_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("expected", Text, nullable=False),
    Column("received", Text, nullable=False),
    Column("amount", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("paid", Boolean, nullable=False, server_default=text("false")),
    Column("action", Text),
    time("resolved_at"),
    Column("note", Text),
    now("create_time"),
    UniqueConstraint("invoice_id", "kind", "amount", "currency", name="uq_payment_anomalies_distinct"),
    Index("ix_payment_anomalies_open", "id", postgresql_where=text("resolved_at IS NULL")),
)

refunds = refund_table(metadata)
refund_callbacks = refund_callback_table(metadata)

invoice_closings = Table(
    "invoice_closings",
    metadata,
    Column("invoice_id", Text, primary_key=True),
    Column("payment_id", BigInteger, ForeignKey("payments.id"), nullable=False),
    Column("external_id", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    now("due_at"),
    time("done_at"),
    now("create_time"),
    CheckConstraint("step IN ('expire', 'look_again', 'done')", name="step_known"),
    Index("ix_invoice_closings_done", "done_at", postgresql_where=text("step = 'done'")),
    Index("ix_invoice_closings_due", "due_at", postgresql_where=text("step <> 'done'")),
)

failed_events = Table(
    "failed_events",
    metadata,
    id_(),
    Column("event_id", UUID(as_uuid=True), nullable=False, unique=True),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("error", Text),
    Column("attempts", Integer, nullable=False),
    time("retried_at"),
    now("create_time"),
    Index("ix_failed_events_retried_at", "retried_at", postgresql_where=text("retried_at IS NOT NULL")),
)

audit_outbox = Table(
    "audit_outbox",
    metadata,
    id_(),
    Column("event_id", UUID(as_uuid=True), nullable=False, unique=True),
    Column("order_id", BigInteger),
    Column("payment_id", BigInteger),
    Column("user_id", BigInteger),
    Column("external_id", Text),
    Column("event", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    now("create_time"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # The version before delivered by it, without hashes; see migration 0006.
    Column("next_attempt_at", DateTime(timezone=True), server_default=text("'infinity'")),
    Column("last_error", Text),
    now("due_at"),
    Column("prev_hash", Text),
    Column("hash", Text),
    Index("ix_audit_outbox_due", "due_at", "id"),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("entries", BigInteger, nullable=False),
    now("create_time"),
)
