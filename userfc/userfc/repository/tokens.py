"""All SQL on revoked tokens. Redis holds a copy of this table."""

from collections.abc import Sequence
from datetime import UTC, datetime

from chassis.auth.tokens import CLOCKS_DIFFER_S, LEEWAY_S, Principal
from chassis.db.database import Database, Tx

# How long a row is kept after the expiry of its token: twice the leeway of verifiers, and the clock difference.
KEEP_S = CLOCKS_DIFFER_S + 2 * LEEWAY_S
_LIFE = f"extract(epoch FROM expires_at - now()) + {KEEP_S}"
_SECONDS = f"ceil({_LIFE})::bigint"

_REVOKE = "INSERT INTO revoked_tokens (jti, user_id, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_LIFE_LEFT = f"SELECT {_SECONDS} FROM revoked_tokens WHERE jti = $1"
_IS_REVOKED = "SELECT EXISTS (SELECT FROM revoked_tokens WHERE jti = $1)"
_LIVE = f"""
SELECT jti, {_SECONDS} AS life_s FROM revoked_tokens WHERE jti > $1 AND {_LIFE} > 0 ORDER BY jti LIMIT $2
"""
# The recent ones are few: they are read by time first, and then put into order. The time is written into the statement,
# so that the plan follows from the number of tokens that it covers.
_RECENT = f"""
WITH recent AS MATERIALIZED (
  SELECT jti, expires_at FROM revoked_tokens WHERE revoked_at > now() - {{within_s:d}} * interval '1 second')
SELECT jti, {_SECONDS} AS life_s FROM recent WHERE jti > $1 AND {_LIFE} > 0 ORDER BY jti LIMIT $2
"""
_PURGE = f"""
DELETE FROM revoked_tokens WHERE jti IN (
  SELECT jti FROM revoked_tokens WHERE expires_at < now() - interval '{KEEP_S} seconds'
  ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)
"""


async def revoke(tx: Tx, principal: Principal) -> int:
    """Record a revoked token, once. Returns the seconds to keep it, by the database's clock."""
    expires_at = datetime.fromtimestamp(principal.exp, UTC)
    await tx.driver().execute(_REVOKE, principal.jti, principal.user_id, expires_at)
    return int(await tx.driver().fetchval(_LIFE_LEFT, principal.jti))


async def is_revoked(db: Database, jti: str) -> bool:
    async with db.driver() as connection:
        return bool(await connection.fetchval(_IS_REVOKED, jti))


async def live(db: Database, after: str, limit: int, within_s: int | None = None) -> Sequence[tuple[str, int]]:
    """List revoked tokens that have not expired as pairs (jti, seconds to keep it), by jti, those after `after`.

    `within_s` leaves out tokens that were revoked earlier than that many seconds ago.
    """
    statement = _LIVE if within_s is None else _RECENT.format(within_s=within_s)
    async with db.driver() as connection:
        rows = await connection.fetch(statement, after, limit)
    return [(row["jti"], row["life_s"]) for row in rows]


async def purge(tx: Tx, limit: int) -> int:
    """Delete up to `limit` tokens that no verifier accepts any more, and return their number."""
    status: str = await tx.driver().execute(_PURGE, limit)
    return int(status.rsplit(maxsplit=1)[-1])
