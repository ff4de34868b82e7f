"""A tombstone says why its order is over: its stock was rejected, or it was cancelled.

The version before goes on: it writes only rejections, which are the default, and closes a payment for any tombstone.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE rejected_orders ADD COLUMN cause text NOT NULL DEFAULT 'stock_rejected'")


def downgrade() -> None:
    op.execute("ALTER TABLE rejected_orders DROP COLUMN cause")
