"""Money that is to be given back: one row for each money that came for nothing, and for each request.

The version before goes on serving. Anomalies without a refund, its own and those from before, are taken over by a loop
of this version: see usecase/take_over_anomalies.py.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UP = (
    """
    CREATE TABLE refunds (
      id BIGINT GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_refunds PRIMARY KEY,
      order_id BIGINT NOT NULL,
      payment_id BIGINT NOT NULL CONSTRAINT fk_refunds_payment_id_payments REFERENCES payments (id),
      invoice_id TEXT NOT NULL,
      amount NUMERIC NOT NULL,
      currency TEXT NOT NULL,
      cause TEXT NOT NULL,
      source TEXT,
      status TEXT NOT NULL DEFAULT 'DUE',
      failure_code TEXT,
      attempts INTEGER NOT NULL DEFAULT 0,
      note TEXT,
      requested_by BIGINT,
      request_key TEXT,
      request_hash BYTEA,
      settled_at timestamptz,
      create_time timestamptz NOT NULL DEFAULT now(),
      update_time timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT ck_refunds_amount_positive CHECK (amount > 0),
      CONSTRAINT ck_refunds_status_known
        CHECK (status IN ('DUE', 'REQUESTED', 'SUCCEEDED', 'FAILED', 'MANUAL', 'SETTLED')),
      CONSTRAINT uq_refunds_source UNIQUE (payment_id, source),
      CONSTRAINT uq_refunds_request UNIQUE (requested_by, request_key))
    """,
    "CREATE INDEX ix_refunds_order_id ON refunds (order_id, id)",
    "CREATE INDEX ix_refunds_status ON refunds (status, id)",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE refunds")
