"""The tables of productfc. Only the migrations and the test that compares them with the database import this."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Numeric,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from chassis.db.schema import inbox_table, metadata_factory, outbox_table

metadata = metadata_factory()

categories = Table(
    "product_categories",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("length(name) BETWEEN 1 AND 255", name="name"),
    Index("uq_product_categories_lower_name", text("lower(name)"), unique=True),
)

# No index contains `stock` or `updated_at`, so that a change of stock writes no index (PostgreSQL's HOT update).
products = Table(
    "products",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=text("''")),
    Column("price", Numeric(14, 2), nullable=False),
    # Wider than what an administrator may set, because the stock of cancelled orders is added to it.
    Column("stock", BigInteger, nullable=False, server_default=text("0")),
    Column("category_id", BigInteger, ForeignKey("product_categories.id")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("deleted_at", DateTime(timezone=True)),
    CheckConstraint("length(name) BETWEEN 1 AND 255", name="name"),
    CheckConstraint("length(description) <= 10000", name="description"),
    CheckConstraint("price >= 0 AND price <= 9999999999", name="price"),
    CheckConstraint("stock >= 0", name="stock"),
    CheckConstraint("category_id IS NOT NULL OR deleted_at IS NOT NULL", name="category_id"),
    Index("ix_products_category_id", "category_id"),
    Index(
        "ix_products_name_trgm",
        "name",
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
        postgresql_where=text("deleted_at IS NULL"),
    ),
    # An index for each order of a search, ties by id. None is partial: a plan that was made for an empty table would
    # read the whole of it, only because its condition fits, and sort.
    Index("ix_products_name", "name", "id"),
    Index("ix_products_name_desc", text("name DESC"), "id"),
    Index("ix_products_price", "price", "id"),
    Index("ix_products_price_desc", text("price DESC"), "id"),
)

# One row. Triggers replace the version in each transaction that changes what the conditions of a search can see.
catalogue = Table(
    "catalogue",
    metadata,
    Column("single", Boolean, primary_key=True, server_default=text("true")),
    Column("version", UUID(as_uuid=True), nullable=False, server_default=func.gen_random_uuid()),
    CheckConstraint("single", name="single"),
)

stock_ledger = Table(
    "stock_ledger",
    metadata,
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    # No foreign key: a rejected order may name an unknown product, and 0 marks a rollback without products.
    Column("product_id", BigInteger, primary_key=True, autoincrement=False),
    Column("quantity", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("event_id", UUID(as_uuid=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("order_id > 0", name="order_id"),
    CheckConstraint("quantity > 0 OR (quantity = 0 AND state = 'TOMBSTONE')", name="quantity"),
    CheckConstraint("state IN ('TAKEN', 'RELEASED', 'TOMBSTONE', 'REJECTED')", name="state"),
)

# A product's stock is the sum of its adjustments less what the ledger holds as TAKEN; `fc audit` checks it.
stock_adjustments = Table(
    "stock_adjustments",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("product_id", BigInteger, ForeignKey("products.id"), nullable=False, index=True),
    Column("units", BigInteger, nullable=False),
    Column("cause", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("units <> 0", name="units"),
    CheckConstraint("cause IN ('opening', 'created', 'set')", name="cause"),
)

# Append only: a trigger refuses every change, and to delete what is younger than 30 days.
admin_actions = Table(
    "admin_actions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("action", Text, nullable=False),
    Column("admin_id", BigInteger, nullable=False),
    Column("admin_email", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("subject_id", BigInteger, nullable=False),
    Column("before", JSONB, nullable=False),
    Column("after", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now(), index=True),
)

outbox = outbox_table(metadata)
inbox = inbox_table(metadata)
