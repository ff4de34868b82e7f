"""The role of a running service: it reads and writes rows, and has no right to change the schema."""

from collections.abc import Iterator

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.config.settings import ServiceSettings

_EXISTS = text("SELECT true FROM pg_roles WHERE rolname = :role")
_CREATION = text("SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', CAST(:role AS text), CAST(:password AS text))")
_ROWS = "SELECT, INSERT, UPDATE, DELETE"


def _grants(database: str, role: str) -> Iterator[str]:
    """Yield the statements for quoted names. The owner of the tables runs them, also for those it will create."""
    yield f"REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC"
    yield "REVOKE CREATE ON SCHEMA public FROM PUBLIC"
    yield f"GRANT CONNECT ON DATABASE {database} TO {role}"
    yield f"GRANT USAGE ON SCHEMA public TO {role}"
    yield f"GRANT {_ROWS} ON ALL TABLES IN SCHEMA public TO {role}"
    yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
    yield f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {_ROWS} ON TABLES TO {role}"
    yield f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO {role}"
    yield f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {role}"


async def grant(connection: AsyncConnection, settings: ServiceSettings) -> None:
    """Give DB_USER its rights in one transaction, and make the role if it is missing.

    The rights of a role that is there already are completed; its password is left as it is.
    """
    role, quoted = settings.db_user, connection.dialect.identifier_preparer.quote_identifier
    if not (await connection.execute(_EXISTS, {"role": role})).scalar():
        values = {"role": role, "password": settings.db_password.get_secret_value()}
        await connection.exec_driver_sql((await connection.execute(_CREATION, values)).scalar_one())
    for statement in _grants(quoted(settings.db_name), quoted(role)):
        await connection.exec_driver_sql(statement)
    await connection.commit()
