"""An index for each order of a search, and the version of the catalogue with which a search remembers its count.

The indexes are built concurrently. The version before goes on: its changes replace the version too.
"""

from alembic import op

from chassis.db.migrations import build_index, drop_index

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_products_name": "products (name, id)",
    "ix_products_name_desc": "products (name DESC, id)",
    "ix_products_price": "products (price, id)",
    "ix_products_price_desc": "products (price DESC, id)",
}
UP = (
    # The one row has a random version: a database that is taken back to an earlier state has the version of that state.
    """
    CREATE TABLE catalogue (
      single boolean NOT NULL DEFAULT true
        CONSTRAINT pk_catalogue PRIMARY KEY CONSTRAINT ck_catalogue_single CHECK (single),
      version uuid NOT NULL DEFAULT gen_random_uuid())
    """,
    "INSERT INTO catalogue DEFAULT VALUES",
    """
    CREATE FUNCTION replace_catalogue_version() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      UPDATE catalogue SET version = gen_random_uuid();
      RETURN NULL;
    END $$
    """,
    # Every column that the conditions of a search see, and not the stock.
    """
    CREATE TRIGGER products_catalogue
    AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF name, price, category_id, deleted_at ON products
    FOR EACH STATEMENT EXECUTE FUNCTION replace_catalogue_version()
    """,
    """
    CREATE TRIGGER product_categories_catalogue AFTER UPDATE OF name ON product_categories
    FOR EACH STATEMENT EXECUTE FUNCTION replace_catalogue_version()
    """,
    # Also for rows that a tool loads with the triggers of sessions switched off.
    "ALTER TABLE products ENABLE ALWAYS TRIGGER products_catalogue",
    "ALTER TABLE product_categories ENABLE ALWAYS TRIGGER product_categories_catalogue",
)


def upgrade() -> None:
    for name, definition in INDEXES.items():
        build_index(name, definition)
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER products_catalogue ON products")
    op.execute("DROP TRIGGER product_categories_catalogue ON product_categories")
    op.execute("DROP FUNCTION replace_catalogue_version")
    op.execute("DROP TABLE catalogue")
    for name in INDEXES:
        drop_index(name)
