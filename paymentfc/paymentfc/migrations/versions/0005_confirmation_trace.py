"""The trace of the callback that has Xendit asked, so that the events of its effect link it.

The version before goes on: the column is nullable and without a default, and it does not read it.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE payment_confirmations ADD COLUMN traceparent TEXT")


def downgrade() -> None:
    op.execute("ALTER TABLE payment_confirmations DROP COLUMN traceparent")
