"""Names in Unicode's normal form NFC, in which requests are compared with them.

Locks the few rows that it changes. A category whose name another one has in NFC stays as it is. The previous version
may go on writing other forms until it is gone; its rows are found by the text that they have.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UP = (
    "UPDATE products SET name = normalize(name, NFC) WHERE name IS NOT NFC NORMALIZED",
    """
    UPDATE product_categories c SET name = normalize(c.name, NFC), updated_at = now()
    WHERE c.name IS NOT NFC NORMALIZED AND NOT EXISTS (
      SELECT 1 FROM product_categories o
      WHERE o.id <> c.id AND lower(normalize(o.name, NFC)) = lower(normalize(c.name, NFC)))
    """,
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Keep the names: both forms are the same text to a reader."""
