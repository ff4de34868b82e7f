"""The tables of userfc: the source that the migrations are checked against."""

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Identity, Index, Table, Text, func, text

from chassis.db.database import metadata_factory

metadata = metadata_factory()

LEGACY_HASH = "password_hash LIKE '$2%'"

users = Table(
    "users",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    # Stored in lower case; the index holds also for rows that came from elsewhere.
    Column("email", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False, server_default=text("'user'")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("length(name) BETWEEN 1 AND 255", name="name"),
    CheckConstraint("role IN ('user', 'admin')", name="role"),
    Index("uq_users_lower_email", text("lower(email)"), unique=True),
    # Empty once all of the Go system's users have signed in; until then a login asks it whether there are any left.
    Index("ix_users_legacy_hash", "id", postgresql_where=text(LEGACY_HASH)),
)

# A token that was logged out, until no clock takes it for valid any more.
revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("jti", Text, primary_key=True),
    # No foreign key: the log-out of a user who is gone must work too.
    Column("user_id", BigInteger, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("ix_revoked_tokens_expires_at", "expires_at"),
    Index("ix_revoked_tokens_revoked_at", "revoked_at"),
)
