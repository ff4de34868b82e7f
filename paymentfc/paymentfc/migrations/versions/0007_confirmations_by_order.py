"""The confirmations of an order are found by its external id: a callback may come before its invoice is stored.

The version before goes on: it names the same two columns. The table has a row only while Xendit is being asked, so that
its new key is built at once.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_KEY = """
ALTER TABLE payment_confirmations DROP CONSTRAINT pk_payment_confirmations,
  ADD CONSTRAINT pk_payment_confirmations PRIMARY KEY ({columns})
"""


def upgrade() -> None:
    op.execute(_KEY.format(columns="external_id, invoice_id"))


def downgrade() -> None:
    op.execute(_KEY.format(columns="invoice_id, external_id"))
