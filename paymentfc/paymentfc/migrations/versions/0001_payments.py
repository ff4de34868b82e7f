"""The first tables: payments, requests for invoices, callbacks, anomalies, closings, audit, outbox and inbox."""

from alembic import op

revision = "0001"
down_revision: str | None = None

TABLES = (
    """
CREATE TABLE payments (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    order_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    user_email TEXT,
    external_id TEXT NOT NULL,
    amount NUMERIC(14, 2) NOT NULL,
    currency TEXT NOT NULL,
    status TEXT DEFAULT 'PENDING' NOT NULL,
    reason TEXT,
    payment_method TEXT NOT NULL,
    shipping_address TEXT NOT NULL,
    lines JSONB DEFAULT '[]'::jsonb NOT NULL,
    invoice_id TEXT,
    invoice_url TEXT,
    invoice_time timestamptz,
    expires_at timestamptz,
    paid_at timestamptz,
    late_paid_at timestamptz,
    retry_count INTEGER DEFAULT 0 NOT NULL,
    traceparent TEXT,
    sweep_after timestamptz,
    check_after timestamptz,
    create_time timestamptz DEFAULT now() NOT NULL,
    update_time timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_payments PRIMARY KEY (id),
    CONSTRAINT ck_payments_amount_positive CHECK (amount > 0),
    CONSTRAINT ck_payments_status_known CHECK (status IN ('PENDING', 'PAID', 'EXPIRED', 'FAILED')),
    CONSTRAINT uq_payments_order_id UNIQUE (order_id),
    CONSTRAINT uq_payments_external_id UNIQUE (external_id),
    CONSTRAINT uq_payments_invoice_id UNIQUE (invoice_id)
);
CREATE INDEX ix_payments_failed ON payments (id) WHERE status IN ('EXPIRED', 'FAILED');
CREATE INDEX ix_payments_open_expiry ON payments (expires_at) WHERE status = 'PENDING';
CREATE INDEX ix_payments_open_invoice ON payments (invoice_time) WHERE status = 'PENDING'
""",
    """
CREATE TABLE payment_requests (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    payment_id BIGINT NOT NULL,
    order_id BIGINT NOT NULL,
    status TEXT DEFAULT 'PENDING' NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    tries INTEGER DEFAULT 0 NOT NULL,
    retry_count INTEGER DEFAULT 0 NOT NULL,
    last_error TEXT,
    next_attempt_at timestamptz DEFAULT now() NOT NULL,
    lease_until timestamptz,
    lease_token UUID,
    create_time timestamptz DEFAULT now() NOT NULL,
    update_time timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_payment_requests PRIMARY KEY (id),
    CONSTRAINT ck_payment_requests_status_known CHECK (
        status IN ('PENDING', 'FAILED', 'VERIFY', 'DONE', 'CANCELLED', 'EXHAUSTED')),
    CONSTRAINT uq_payment_requests_payment_id UNIQUE (payment_id),
    CONSTRAINT fk_payment_requests_payment_id_payments FOREIGN KEY(payment_id) REFERENCES payments (id),
    CONSTRAINT uq_payment_requests_order_id UNIQUE (order_id)
);
CREATE INDEX ix_payment_requests_due ON payment_requests (status, next_attempt_at)
    WHERE status IN ('PENDING', 'FAILED', 'VERIFY')
""",
    """
CREATE TABLE rejected_orders (
    order_id BIGINT NOT NULL,
    reason TEXT NOT NULL,
    create_time timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_rejected_orders PRIMARY KEY (order_id)
)
""",
    """
CREATE TABLE payment_callbacks (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    invoice_id TEXT NOT NULL,
    external_id TEXT NOT NULL,
    status TEXT NOT NULL,
    amount TEXT NOT NULL,
    asked_amount TEXT NOT NULL,
    currency TEXT NOT NULL,
    body TEXT NOT NULL,
    webhook_id TEXT,
    outcome TEXT DEFAULT 'waiting' NOT NULL,
    deliveries INTEGER DEFAULT 1 NOT NULL,
    create_time timestamptz DEFAULT now() NOT NULL,
    applied_time timestamptz,
    CONSTRAINT pk_payment_callbacks PRIMARY KEY (id),
    CONSTRAINT uq_payment_callbacks_distinct UNIQUE (invoice_id, external_id, status, amount, currency)
);
CREATE INDEX ix_payment_callbacks_waiting ON payment_callbacks (external_id) WHERE outcome = 'waiting'
""",
    """
CREATE TABLE payment_anomalies (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    order_id BIGINT,
    payment_id BIGINT,
    external_id TEXT NOT NULL,
    invoice_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    expected TEXT NOT NULL,
    received TEXT NOT NULL,
    amount TEXT NOT NULL,
    currency TEXT NOT NULL,
    paid BOOLEAN DEFAULT false NOT NULL,
    resolved_at timestamptz,
    note TEXT,
    create_time timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_payment_anomalies PRIMARY KEY (id),
    CONSTRAINT uq_payment_anomalies_distinct UNIQUE (invoice_id, kind, amount, currency),
    CONSTRAINT fk_payment_anomalies_payment_id_payments FOREIGN KEY(payment_id) REFERENCES payments (id)
);
CREATE INDEX ix_payment_anomalies_open ON payment_anomalies (id) WHERE resolved_at IS NULL
""",
    """
CREATE TABLE invoice_closings (
    invoice_id TEXT NOT NULL,
    payment_id BIGINT NOT NULL,
    external_id TEXT NOT NULL,
    step TEXT NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    last_error TEXT,
    due_at timestamptz DEFAULT now() NOT NULL,
    done_at timestamptz,
    create_time timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_invoice_closings PRIMARY KEY (invoice_id),
    CONSTRAINT ck_invoice_closings_step_known CHECK (step IN ('expire', 'look_again', 'done')),
    CONSTRAINT fk_invoice_closings_payment_id_payments FOREIGN KEY(payment_id) REFERENCES payments (id)
);
CREATE INDEX ix_invoice_closings_due ON invoice_closings (due_at) WHERE step <> 'done'
""",
    """
CREATE TABLE failed_events (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    event_id UUID NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    payload JSONB NOT NULL,
    error TEXT,
    attempts INTEGER NOT NULL,
    retried_at timestamptz,
    create_time timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_failed_events PRIMARY KEY (id),
    CONSTRAINT uq_failed_events_event_id UNIQUE (event_id)
)
""",
    """
CREATE TABLE audit_outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    event_id UUID NOT NULL,
    order_id BIGINT,
    payment_id BIGINT,
    user_id BIGINT,
    external_id TEXT,
    event TEXT NOT NULL,
    actor TEXT NOT NULL,
    metadata JSONB DEFAULT '{}'::jsonb NOT NULL,
    create_time timestamptz DEFAULT now() NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    next_attempt_at timestamptz,
    last_error TEXT,
    CONSTRAINT pk_audit_outbox PRIMARY KEY (id),
    CONSTRAINT uq_audit_outbox_event_id UNIQUE (event_id)
)
""",
    """
CREATE TABLE outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    event_id UUID NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    payload JSONB NOT NULL,
    headers JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    next_attempt_at timestamptz,
    last_error TEXT,
    published_at timestamptz,
    parked_at timestamptz,
    CONSTRAINT pk_outbox PRIMARY KEY (id),
    CONSTRAINT uq_outbox_event_id UNIQUE (event_id)
);
CREATE INDEX ix_outbox_pending ON outbox (id) WHERE published_at IS NULL;
CREATE INDEX ix_outbox_pending_key ON outbox (topic, key, id) WHERE published_at IS NULL
""",
    """
CREATE TABLE inbox (
    consumer TEXT NOT NULL,
    event_id UUID NOT NULL,
    received_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_inbox PRIMARY KEY (consumer, event_id)
);
CREATE INDEX ix_inbox_received_at ON inbox (received_at)
""",
)

DROP = """
DROP TABLE invoice_closings, payment_anomalies, payment_requests, payment_callbacks, rejected_orders, payments,
    failed_events, audit_outbox, outbox, inbox
"""


def upgrade() -> None:
    for statements in TABLES:
        for statement in statements.split(";"):
            op.execute(statement)


def downgrade() -> None:
    op.execute(DROP)
