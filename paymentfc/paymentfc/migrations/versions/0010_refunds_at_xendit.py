"""Refunds are made at Xendit: what is known of them there, when they are looked at next, and Xendit's callbacks.

The version before goes on serving: it leaves the new columns at their defaults, and settles only what is due.
"""

from alembic import op

from chassis.db.migrations import build_index

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

UP = (
    """
    ALTER TABLE refunds ADD COLUMN gateway_id TEXT, ADD COLUMN due_at timestamptz NOT NULL DEFAULT now(),
      ADD COLUMN last_error TEXT, ADD COLUMN requested_at timestamptz, ADD COLUMN succeeded_at timestamptz,
      ADD COLUMN failed_at timestamptz
    """,
    """
    CREATE TABLE refund_callbacks (
      id BIGINT GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_refund_callbacks PRIMARY KEY,
      gateway_id TEXT NOT NULL,
      reference_id TEXT NOT NULL,
      status TEXT NOT NULL,
      amount TEXT NOT NULL,
      currency TEXT NOT NULL,
      body TEXT NOT NULL,
      webhook_id TEXT,
      deliveries INTEGER NOT NULL DEFAULT 1,
      create_time timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT uq_refund_callbacks_distinct UNIQUE (gateway_id, reference_id, status, amount, currency))
    """,
    "CREATE INDEX ix_refund_callbacks_kept_body ON refund_callbacks (create_time) WHERE body <> ''",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)
    build_index("ix_refunds_due", "refunds (due_at) WHERE status = 'REQUESTED'")


def downgrade() -> None:
    op.execute("DROP TABLE refund_callbacks")
    op.execute("DROP INDEX ix_refunds_due")
    op.execute(
        "ALTER TABLE refunds DROP COLUMN gateway_id, DROP COLUMN due_at, DROP COLUMN last_error,"
        " DROP COLUMN requested_at, DROP COLUMN succeeded_at, DROP COLUMN failed_at"
    )
