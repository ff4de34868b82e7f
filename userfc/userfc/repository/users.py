"""The questions about users that PostgreSQL answers."""

from sqlalchemy import exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert

from chassis.db.database import Database, Tx
from userfc.model import Account, Role, User
from userfc.repository.tables import LEGACY_HASH, users

_USER = (users.c.id, users.c.name, users.c.email, users.c.role)


async def by_id(db: Database, user_id: int) -> User | None:
    """Find a user."""
    async with db.connection() as conn:
        row = (await conn.execute(select(*_USER).where(users.c.id == user_id))).one_or_none()
    return None if row is None else User(*row)


async def by_email(db: Database, email: str) -> Account | None:
    """Find who signs in with this address, compared without case."""
    statement = select(users.c.password_hash, *_USER).where(func.lower(users.c.email) == func.lower(email))
    async with db.connection() as conn:
        row = (await conn.execute(statement)).one_or_none()
    return None if row is None else Account(User(*row[1:]), row[0])


async def any_legacy_hash(db: Database) -> bool:
    """Tell whether somebody has not signed in since the Go system."""
    statement = select(exists(select(users.c.id).where(text(LEGACY_HASH))))
    async with db.connection() as conn:
        return bool((await conn.execute(statement)).scalar_one())


async def insert(tx: Tx, name: str, email: str, password_hash: str, role: Role) -> int | None:
    """Store a user and give its id; None when the address is taken, also by somebody at this very moment."""
    values = {"name": name, "email": email, "password_hash": password_hash, "role": role.value}
    statement = (
        pg_insert(users)
        .values(values)
        .on_conflict_do_nothing(index_elements=[text("lower(email)")])
        .returning(users.c.id)
    )
    user_id: int | None = (await tx.execute(statement)).scalar_one_or_none()
    return user_id


async def renew_hash(tx: Tx, user_id: int, old: str, new: str) -> None:
    """Replace a password hash, unless somebody has replaced it already."""
    statement = update(users).where(users.c.id == user_id, users.c.password_hash == old)
    await tx.execute(statement.values(password_hash=new, updated_at=func.now()))


async def make_admin(tx: Tx, user_id: int, password_hash: str) -> None:
    """Give a user the role admin and a password."""
    statement = update(users).where(users.c.id == user_id)
    await tx.execute(statement.values(role=Role.ADMIN.value, password_hash=password_hash, updated_at=func.now()))
