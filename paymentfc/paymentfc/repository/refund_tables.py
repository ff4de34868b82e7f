"""The tables of money that is given back."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from paymentfc.repository.columns import id_, now, time
from paymentfc.repository.refund_work import WORK


def refund_table(metadata: MetaData) -> Table:
    """Add the table. `source` names the money that was not owed. It is NULL for a refund on request."""
    return Table(
        "refunds",
        metadata,
        id_(),
        Column("order_id", BigInteger, nullable=False),
        Column("payment_id", BigInteger, ForeignKey("payments.id"), nullable=False),
        Column("invoice_id", Text, nullable=False),
        Column("amount", Numeric, nullable=False),
        Column("currency", Text, nullable=False),
        Column("cause", Text, nullable=False),
        Column("source", Text),
        Column("status", Text, nullable=False, server_default=text("'DUE'")),
        Column("failure_code", Text),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("note", Text),
        Column("requested_by", BigInteger),
        Column("request_key", Text),
        Column("request_hash", LargeBinary),
        time("settled_at"),
        now("create_time"),
        now("update_time"),
        Column("gateway_id", Text),
        now("due_at"),
        Column("last_error", Text),
        time("requested_at"),
        time("succeeded_at"),
        time("failed_at"),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint(
            "status IN ('DUE', 'REQUESTED', 'SUCCEEDED', 'FAILED', 'MANUAL', 'SETTLED')", name="status_known"
        ),
        UniqueConstraint("payment_id", "source", name="uq_refunds_source"),
        UniqueConstraint("requested_by", "request_key", name="uq_refunds_request"),
        Index("ix_refunds_order_id", "order_id", "id"),
        Index("ix_refunds_status", "status", "id"),
        Index("ix_refunds_due", "due_at", postgresql_where=text(WORK)),
    )


def refund_callback_table(metadata: MetaData) -> Table:
    """Add the table of Xendit's callbacks about refunds, one row per distinct case."""
    return Table(
        "refund_callbacks",
        metadata,
        id_(),
        Column("gateway_id", Text, nullable=False),
        Column("reference_id", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("amount", Text, nullable=False),
        Column("currency", Text, nullable=False),
        Column("body", Text, nullable=False),
        Column("webhook_id", Text),
        Column("deliveries", Integer, nullable=False, server_default=text("1")),
        now("create_time"),
        UniqueConstraint(
            "gateway_id", "reference_id", "status", "amount", "currency", name="uq_refund_callbacks_distinct"
        ),
        Index("ix_refund_callbacks_kept_body", "create_time", postgresql_where=text("body <> ''")),
    )
