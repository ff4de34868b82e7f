"""All SQL on users."""

from collections.abc import Sequence

import asyncpg

from chassis.db.database import Database, Tx
from userfc.model import Account, Role, User

# Bcrypt hashes of the Go system. Also the condition of a partial index, which serves only queries with the same text.
LEGACY_HASH = "password_hash LIKE '$2%'"

_BY_ID = "SELECT id, name, email, role FROM users WHERE id = $1"
_BY_EMAIL = "SELECT id, name, email, role, password_hash FROM users WHERE lower(email) = lower($1)"
_SHOWN = "id, name, email, role, created_at"
_SOME = f"SELECT {_SHOWN} FROM users WHERE id = ANY($1::bigint[]) ORDER BY id"
_OF_EMAIL = f"SELECT {_SHOWN} FROM users WHERE lower(email) = lower($1)"
# A row also for an unknown address.
_FOR_LOGIN = f"""
SELECT EXISTS (SELECT FROM users WHERE {LEGACY_HASH}) AS has_legacy, u.id, u.name, u.email, u.role, u.password_hash
FROM (VALUES (lower($1::text))) AS asked (email) LEFT JOIN users u ON lower(u.email) = asked.email
"""
_INSERT = """
INSERT INTO users (name, email, password_hash, role) VALUES ($1, $2, $3, $4)
ON CONFLICT (lower(email)) DO NOTHING RETURNING id
"""
_RENEW_HASH = "UPDATE users SET password_hash = $3, updated_at = now() WHERE id = $1 AND password_hash = $2"
_MAKE_ADMIN = "UPDATE users SET role = 'admin', password_hash = $2, updated_at = now() WHERE id = $1"


async def by_id(db: Database, user_id: int) -> User | None:
    async with db.driver() as connection:
        row = await connection.fetchrow(_BY_ID, user_id)
    return None if row is None else _user(row)


async def by_ids(db: Database, ids: Sequence[int]) -> list[asyncpg.Record]:
    """Read users for an administrator, by id; unknown ids are left out."""
    async with db.driver() as connection:
        return list(await connection.fetch(_SOME, ids))


async def of_email(db: Database, email: str) -> list[asyncpg.Record]:
    """Read the user of an e-mail address for an administrator, compared without case; none when it is unknown."""
    async with db.driver() as connection:
        return list(await connection.fetch(_OF_EMAIL, email))


async def by_email(db: Database, email: str) -> Account | None:
    """Find the account of an e-mail address, compared without case."""
    async with db.driver() as connection:
        row = await connection.fetchrow(_BY_EMAIL, email)
    return None if row is None else Account(_user(row), row["password_hash"])


async def for_login(db: Database, email: str) -> tuple[Account | None, bool]:
    """Find the account of an e-mail address as `by_email` does, and whether any user has a hash of the Go system."""
    async with db.driver() as connection:
        [row] = await connection.fetch(_FOR_LOGIN, email)
    account = None if row["id"] is None else Account(_user(row), row["password_hash"])
    return account, row["has_legacy"]


async def insert(tx: Tx, name: str, email: str, password_hash: str, role: Role) -> int | None:
    """Store a user and return its id. Returns None if the address is taken, also by a concurrent transaction."""
    user_id: int | None = await tx.driver().fetchval(_INSERT, name, email, password_hash, role.value)
    return user_id


async def renew_hash(tx: Tx, user_id: int, old: str, new: str) -> None:
    """Replace a password hash, unless it has been replaced already."""
    await tx.driver().execute(_RENEW_HASH, user_id, old, new)


async def make_admin(tx: Tx, user_id: int, password_hash: str) -> None:
    await tx.driver().execute(_MAKE_ADMIN, user_id, password_hash)


def _user(row: asyncpg.Record) -> User:
    return User(row["id"], row["name"], row["email"], row["role"])
