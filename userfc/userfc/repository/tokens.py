"""The tokens that were logged out, as PostgreSQL knows them: the truth that Redis is a copy of."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import BigInteger, cast, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert as pg_insert

from chassis.auth.tokens import CLOCKS_DIFFER_S, LEEWAY_S, Principal
from chassis.db.database import Database, Tx
from userfc.repository.tables import revoked_tokens as revoked

# Twice the leeway of the verifiers, and as much as their clocks may be late: none of them must take it for valid again.
KEEP_S = CLOCKS_DIFFER_S + 2 * LEEWAY_S
_LIFE = func.extract("epoch", revoked.c.expires_at - func.now()) + KEEP_S
_SECONDS = cast(func.ceil(_LIFE), BigInteger)


async def revoke(tx: Tx, principal: Principal) -> int:
    """Remember that a token was logged out; once is enough. Gives for how many seconds, by the database's clock."""
    values = {
        "jti": principal.jti,
        "user_id": principal.user_id,
        "expires_at": datetime.fromtimestamp(principal.exp, UTC),
    }
    await tx.execute(pg_insert(revoked).values(values).on_conflict_do_nothing())
    return int((await tx.execute(select(_SECONDS).where(revoked.c.jti == principal.jti))).scalar_one())


async def is_revoked(db: Database, jti: str) -> bool:
    """Tell whether the token was logged out."""
    async with db.connection() as conn:
        return (await conn.execute(select(revoked.c.jti).where(revoked.c.jti == jti))).first() is not None


async def live(db: Database, after: str, limit: int, within_s: float | None = None) -> Sequence[tuple[str, int]]:
    """List revoked tokens that could still be used: (jti, seconds to remember it), by jti, those after `after`.

    `within_s` leaves out what was revoked longer ago than that.
    """
    statement = select(revoked.c.jti, _SECONDS).where(revoked.c.jti > after, _LIFE > 0)
    if within_s is not None:
        statement = statement.where(revoked.c.revoked_at > func.now() - func.make_interval(0, 0, 0, 0, 0, 0, within_s))
    async with db.connection() as conn:
        rows = (await conn.execute(statement.order_by(revoked.c.jti).limit(limit))).all()
    return [(row[0], row[1]) for row in rows]


async def purge(tx: Tx, limit: int) -> int:
    """Forget up to `limit` tokens that no verifier accepts any more; gives how many went."""
    over = select(revoked.c.jti).where(revoked.c.expires_at < func.now() - text(f"interval '{KEEP_S} seconds'"))
    gone = await tx.execute(
        delete(revoked).where(revoked.c.jti.in_(over.limit(limit).with_for_update(skip_locked=True)))
    )
    return gone.rowcount
