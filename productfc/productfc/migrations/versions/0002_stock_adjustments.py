"""Adjustments of stock by administrators: together with the ledger they explain every unit."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UP = (
    """
    CREATE TABLE stock_adjustments (
      id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_stock_adjustments PRIMARY KEY,
      product_id bigint NOT NULL CONSTRAINT fk_stock_adjustments_product_id_products REFERENCES products (id),
      units bigint NOT NULL CONSTRAINT ck_stock_adjustments_units CHECK (units <> 0),
      cause text NOT NULL CONSTRAINT ck_stock_adjustments_cause CHECK (cause IN ('opening', 'created', 'set')),
      created_at timestamptz NOT NULL DEFAULT now())
    """,
    "CREATE INDEX ix_stock_adjustments_product_id ON stock_adjustments (product_id)",
    # Each existing product gets an opening entry: its free stock and the units that orders hold.
    """
    INSERT INTO stock_adjustments (product_id, units, cause)
    SELECT id, units, 'opening' FROM (
      SELECT p.id, p.stock + coalesce(sum(l.quantity) FILTER (WHERE l.state = 'TAKEN'), 0) AS units
      FROM products p LEFT JOIN stock_ledger l ON l.product_id = p.id GROUP BY p.id) AS counted
    WHERE units <> 0
    """,
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE stock_adjustments")
