"""The first tables: categories, products with their search index, the stock ledger, outbox and inbox."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UP = (
    # A trusted extension: the owner of the database may create it.
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    """
    CREATE TABLE product_categories (
      id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_product_categories PRIMARY KEY,
      name text NOT NULL CONSTRAINT ck_product_categories_name CHECK (length(name) BETWEEN 1 AND 255),
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now())
    """,
    "CREATE UNIQUE INDEX uq_product_categories_lower_name ON product_categories (lower(name))",
    # Room on each page for the next version of a row, so that a change of stock stays on its page.
    """
    CREATE TABLE products (
      id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_products PRIMARY KEY,
      name text NOT NULL CONSTRAINT ck_products_name CHECK (length(name) BETWEEN 1 AND 255),
      description text NOT NULL DEFAULT '' CONSTRAINT ck_products_description CHECK (length(description) <= 10000),
      price numeric(14, 2) NOT NULL CONSTRAINT ck_products_price CHECK (price >= 0 AND price <= 9999999999),
      stock bigint NOT NULL DEFAULT 0 CONSTRAINT ck_products_stock CHECK (stock >= 0),
      category_id bigint CONSTRAINT fk_products_category_id_product_categories REFERENCES product_categories (id),
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      deleted_at timestamptz,
      CONSTRAINT ck_products_category_id CHECK (category_id IS NOT NULL OR deleted_at IS NOT NULL))
    WITH (fillfactor = 80)
    """,
    "CREATE INDEX ix_products_category_id ON products (category_id)",
    "CREATE INDEX ix_products_name_trgm ON products USING gin (name gin_trgm_ops) WHERE deleted_at IS NULL",
    """
    CREATE TABLE stock_ledger (
      order_id bigint NOT NULL CONSTRAINT ck_stock_ledger_order_id CHECK (order_id > 0),
      product_id bigint NOT NULL,
      quantity bigint NOT NULL
        CONSTRAINT ck_stock_ledger_quantity CHECK (quantity > 0 OR (quantity = 0 AND state = 'TOMBSTONE')),
      state text NOT NULL
        CONSTRAINT ck_stock_ledger_state CHECK (state IN ('TAKEN', 'RELEASED', 'TOMBSTONE', 'REJECTED')),
      event_id uuid NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT pk_stock_ledger PRIMARY KEY (order_id, product_id))
    """,
    """
    CREATE TABLE outbox (
      id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_outbox PRIMARY KEY,
      event_id uuid NOT NULL CONSTRAINT uq_outbox_event_id UNIQUE,
      topic text NOT NULL,
      key text NOT NULL,
      payload jsonb NOT NULL,
      headers jsonb NOT NULL DEFAULT '{}',
      created_at timestamptz NOT NULL DEFAULT now(),
      attempts integer NOT NULL DEFAULT 0,
      next_attempt_at timestamptz,
      last_error text,
      published_at timestamptz,
      parked_at timestamptz)
    """,
    "CREATE INDEX ix_outbox_pending ON outbox (id) WHERE published_at IS NULL",
    "CREATE INDEX ix_outbox_pending_key ON outbox (topic, key, id) WHERE published_at IS NULL",
    """
    CREATE TABLE inbox (
      consumer text NOT NULL,
      event_id uuid NOT NULL,
      received_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT pk_inbox PRIMARY KEY (consumer, event_id))
    """,
    "CREATE INDEX ix_inbox_received_at ON inbox (received_at)",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    # The extension stays: other schemas of the database may use it.
    op.execute("DROP TABLE inbox, outbox, stock_ledger, products, product_categories")
