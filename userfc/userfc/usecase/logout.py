"""Logs a token out: from then on every service refuses it."""

import structlog

from chassis.auth.tokens import Principal
from chassis.db.database import Database
from userfc.errors import TokenWithoutId
from userfc.repository import tokens
from userfc.repository.revoked_copy import RevokedCopy

log = structlog.get_logger(__name__)

MAX_JTI = 255


async def logout(db: Database, copy: RevokedCopy, principal: Principal) -> None:
    """Revoke the token, first in the database, then in Redis. Raises TokenWithoutId.

    Revoking the empty `jti` would revoke all tokens without one.
    """
    if not 1 <= len(principal.jti) <= MAX_JTI:
        raise TokenWithoutId
    async with db.transaction() as tx:
        life_s = await tokens.revoke(tx, principal)
    await copy.add(principal.jti, max(1, life_s))
    log.info("token revoked", user_id=principal.user_id)
