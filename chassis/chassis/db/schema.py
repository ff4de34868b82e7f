"""The tables that every service declares for its migrations. A running service does not import SQLAlchemy.

It is imported by the services' `repository/tables.py`, which only migrations and tests use.
"""

from sqlalchemy import URL, BigInteger, Column, DateTime, Identity, Index, Integer, MetaData, Table, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

from chassis.config.settings import ServiceSettings

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

_WAITING = "published_at IS NULL AND parked_at IS NULL AND next_attempt_at IS NOT NULL"


def metadata_factory() -> MetaData:
    """Return metadata whose constraints have names, which migrations need."""
    return MetaData(naming_convention=NAMING)


def url(settings: ServiceSettings) -> URL:
    """Return the SQLAlchemy URL of the service's own database."""
    return URL.create(
        "postgresql+asyncpg",
        username=settings.db_user,
        password=settings.db_password.get_secret_value(),
        host=settings.db_host,
        port=settings.db_port,
        database=settings.db_name,
    )


def outbox_table(metadata: MetaData) -> Table:
    """Declare the outbox of a service.

    Debezium's outbox router reads the same columns (event_id, topic, key, payload, headers) when the relay is outgrown.
    """
    return Table(
        "outbox",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("event_id", UUID(as_uuid=True), nullable=False, unique=True),
        Column("topic", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("payload", JSONB, nullable=False),
        Column("headers", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("next_attempt_at", DateTime(timezone=True)),
        Column("last_error", Text),
        Column("published_at", DateTime(timezone=True)),
        Column("parked_at", DateTime(timezone=True)),
        Index("ix_outbox_pending_key", "topic", "key", "id", postgresql_where=text("published_at IS NULL")),
        Index(
            "ix_outbox_fresh",
            "topic",
            "id",
            postgresql_where=text("published_at IS NULL AND next_attempt_at IS NULL"),
        ),
        Index("ix_outbox_waiting", "topic", "next_attempt_at", "id", postgresql_where=text(_WAITING)),
        Index("ix_outbox_waiting_key", "topic", "key", "id", postgresql_where=text(_WAITING)),
        Index(
            "ix_outbox_parked",
            "topic",
            "next_attempt_at",
            "id",
            postgresql_where=text("published_at IS NULL AND parked_at IS NOT NULL"),
        ),
        Index("ix_outbox_published_at", "published_at", postgresql_where=text("published_at IS NOT NULL")),
    )


def inbox_table(metadata: MetaData) -> Table:
    """Declare the inbox of a service. Its rows are purged after the topics' retention; business guards need none."""
    return Table(
        "inbox",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("event_id", UUID(as_uuid=True), primary_key=True),
        Column("received_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Index("ix_inbox_received_at", "received_at"),
    )
