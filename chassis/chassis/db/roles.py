"""The roles besides the owner: a running service reads and writes rows, the auditor reads them."""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.config.connections import audit_role
from chassis.config.settings import ServiceSettings

_EXISTS = text("SELECT true FROM pg_roles WHERE rolname = :role")
_CREATION = text("SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', CAST(:role AS text), CAST(:password AS text))")
_COLUMNS = text(
    "SELECT CAST(table_name AS text), quote_ident(column_name) FROM information_schema.columns"
    " WHERE table_schema = 'public' AND CAST(table_name AS text) = ANY(CAST(:tables AS text[]))"
)
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


def _reading(database: str, role: str, settings: ServiceSettings, open_: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the auditor's rights; `open_`: table -> columns, of tables that are open to it in part."""
    yield from _entry(database, role)
    # An earlier release may have given more.
    yield f"REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM {role}"
    if settings.audited is None:
        yield f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
        yield f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {role}"
    for table, columns in open_.items():
        yield f"REVOKE SELECT ON {table} FROM {role}"
        yield f"GRANT SELECT ({', '.join(columns)}) ON {table} TO {role}"


async def _open_in_part(connection: AsyncConnection, settings: ServiceSettings) -> Mapping[str, Sequence[str]]:
    if settings.audited is not None:
        return settings.audited
    open_: dict[str, list[str]] = {}
    for table, column in await connection.execute(_COLUMNS, {"tables": list(settings.unaudited)}):
        if column not in settings.unaudited[table]:
            open_.setdefault(table, []).append(column)
    return open_


async def grant_all(connection: AsyncConnection, settings: ServiceSettings, owner: str) -> None:
    """Give each role its rights, and make those that are missing: in one transaction each.

    The rights of a role that is there already are completed; its password is left as it is.
    """
    quoted = connection.dialect.identifier_preparer.quote_identifier
    database = quoted(settings.db_name)
    if owner != settings.db_user:
        await _grant(connection, settings.db_user, settings.db_password, _grants(database, quoted(settings.db_user)))
    if settings.db_audit_password is not None:
        role, open_ = audit_role(settings.db_name), await _open_in_part(connection, settings)
        rights = _reading(database, quoted(role), settings, open_)
        await _grant(connection, role, settings.db_audit_password, rights)


async def _grant(connection: AsyncConnection, role: str, password: SecretStr, statements: Iterator[str]) -> None:
    if not (await connection.execute(_EXISTS, {"role": role})).scalar():
        values = {"role": role, "password": password.get_secret_value()}
        await connection.exec_driver_sql((await connection.execute(_CREATION, values)).scalar_one())
    for statement in statements:
        await connection.exec_driver_sql(statement)
    await connection.commit()
