"""Somebody logs out: the token is refused from now on, everywhere."""

import structlog

from chassis.auth.tokens import Principal
from chassis.db.database import Database
from chassis.errors import Invalid
from userfc.repository import tokens
from userfc.repository.revoked_copy import RevokedCopy

log = structlog.get_logger(__name__)

MAX_JTI = 255


async def logout(db: Database, copy: RevokedCopy, principal: Principal) -> None:
    """Revoke the token: first in the database, the truth, then in Redis. Raises Invalid without a usable `jti`."""
    if not _usable(principal.jti):
        raise Invalid("This token has no id (jti) and can't be logged out; it ends by itself")
    async with db.transaction() as tx:
        life_s = await tokens.revoke(tx, principal)
    await copy.add(principal.jti, max(1, life_s))
    log.info("token revoked", user_id=principal.user_id)


def _usable(jti: str) -> bool:
    """Tell whether the id names this one token: without one, all tokens without one would be revoked together."""
    return 1 <= len(jti) <= MAX_JTI
