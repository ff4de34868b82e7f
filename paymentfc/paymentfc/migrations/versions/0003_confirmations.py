"""Callbacks that Xendit has to confirm, each payment of an invoice by its id, and what closed a disputed payment.

The version before goes on serving: columns are nullable and without a default, tables are new, no key changes. It
ignores what it does not know; its callbacks take effect without confirmation, as before.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UP = (
    "ALTER TABLE payments ADD COLUMN receipt TEXT",
    "ALTER TABLE payment_callbacks ADD COLUMN receipt TEXT",
    "ALTER TABLE payment_anomalies ADD COLUMN action TEXT",
    """
    CREATE TABLE payment_confirmations (
      invoice_id TEXT NOT NULL,
      external_id TEXT NOT NULL,
      due_at timestamptz NOT NULL DEFAULT now(),
      looks INTEGER NOT NULL DEFAULT 0,
      last_error TEXT,
      create_time timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT pk_payment_confirmations PRIMARY KEY (invoice_id, external_id))
    """,
    "CREATE INDEX ix_payment_confirmations_due ON payment_confirmations (due_at)",
    """
    CREATE TABLE payment_receipts (
      id BIGINT GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_payment_receipts PRIMARY KEY,
      invoice_id TEXT NOT NULL,
      external_id TEXT NOT NULL,
      receipt TEXT NOT NULL,
      amount TEXT NOT NULL,
      currency TEXT NOT NULL,
      create_time timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT uq_payment_receipts_receipt UNIQUE (invoice_id, external_id, receipt))
    """,
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE payment_confirmations, payment_receipts")
    op.execute("ALTER TABLE payment_anomalies DROP COLUMN action")
    op.execute("ALTER TABLE payment_callbacks DROP COLUMN receipt")
    op.execute("ALTER TABLE payments DROP COLUMN receipt")
