"""The roles besides the owner: a running service reads and writes rows, the auditor reads them."""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.config.connections import audit_role
from chassis.config.settings import ServiceSettings

_EXISTS = text("SELECT true FROM pg_roles WHERE rolname = :role")
_CREATION = text("SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', CAST(:role AS text), CAST(:password AS text))")
_ROWS = "SELECT, INSERT, UPDATE, DELETE"


def _entry(database: str, role: str) -> Iterator[str]:
    yield f"REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC"
    yield "REVOKE CREATE ON SCHEMA public FROM PUBLIC"
    yield f"GRANT CONNECT ON DATABASE {database} TO {role}"
    yield f"GRANT USAGE ON SCHEMA public TO {role}"


def _grants(database: str, role: str) -> Iterator[str]:
    """Yield the statements for quoted names. The owner of the tables runs them, also for those it will create."""
    yield from _entry(database, role)
    yield f"GRANT {_ROWS} ON ALL TABLES IN SCHEMA public TO {role}"
    yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
    yield f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {_ROWS} ON TABLES TO {role}"
    yield f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO {role}"
    yield f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {role}"


def _reading(database: str, role: str, audited: Mapping[str, Sequence[str]] | None) -> Iterator[str]:
    yield from _entry(database, role)
    if audited is None:
        yield f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
        yield f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {role}"
    for table, columns in (audited or {}).items():
        yield f"GRANT SELECT ({', '.join(columns)}) ON {table} TO {role}"


async def grant_all(connection: AsyncConnection, settings: ServiceSettings, owner: str) -> None:
    """Give each role its rights, and make those that are missing: in one transaction each.

    The rights of a role that is there already are completed; its password is left as it is.
    """
    quoted = connection.dialect.identifier_preparer.quote_identifier
    database = quoted(settings.db_name)
    if owner != settings.db_user:
        await _grant(connection, settings.db_user, settings.db_password, _grants(database, quoted(settings.db_user)))
    if settings.db_audit_password is not None:
        role = audit_role(settings.db_name)
        await _grant(connection, role, settings.db_audit_password, _reading(database, quoted(role), settings.audited))


async def _grant(connection: AsyncConnection, role: str, password: SecretStr, statements: Iterator[str]) -> None:
    if not (await connection.execute(_EXISTS, {"role": role})).scalar():
        values = {"role": role, "password": password.get_secret_value()}
        await connection.exec_driver_sql((await connection.execute(_CREATION, values)).scalar_one())
    for statement in statements:
        await connection.exec_driver_sql(statement)
    await connection.commit()
