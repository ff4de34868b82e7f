"""The tables of userfc. Only the migrations and the test that compares them with the database import this."""

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Identity, Index, Table, Text, func, text

from chassis.db.schema import metadata_factory
from userfc.repository.users import LEGACY_HASH

metadata = metadata_factory()

users = Table(
    "users",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    # Stored in lower case. The unique index also covers rows that were not inserted by this service.
    Column("email", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False, server_default=text("'user'")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("length(name) BETWEEN 1 AND 255", name="name"),
    CheckConstraint("role IN ('user', 'admin')", name="role"),
    Index("uq_users_lower_email", text("lower(email)"), unique=True),
    # Each login asks whether hashes of the Go system are left. Once all its users have signed in, this index is empty.
    Index("ix_users_legacy_hash", "id", postgresql_where=text(LEGACY_HASH)),
)

# A revoked token, kept until no verifier accepts it any more.
revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("jti", Text, primary_key=True),
    # No foreign key: a deleted user can still log out.
    Column("user_id", BigInteger, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("ix_revoked_tokens_expires_at", "expires_at"),
    Index("ix_revoked_tokens_revoked_at", "revoked_at"),
)
