"""Revocation by userfc's own database, which holds the truth."""

from chassis.auth.revocation import TokenRevoked
from chassis.auth.tokens import Principal, TokenVerifier
from chassis.db.database import Database
from chassis.errors import Unauthenticated, Unavailable, is_transient
from userfc.repository import tokens


class DatabaseAuthority:
    """The authority of userfc's own routes. The other services ask userfc by gRPC instead."""

    def __init__(self, db: Database, verifier: TokenVerifier) -> None:
        self._db = db
        self._verifier = verifier

    async def validate_token(self, token: str) -> bool:
        """Return whether the token is valid and not revoked. Raises Unavailable when the database is down."""
        try:
            await check_token(self._db, self._verifier, token)
        except Unauthenticated:
            return False
        except Exception as error:
            if not is_transient(error):
                raise
            raise Unavailable("The database does not answer") from error
        return True


async def check_token(db: Database, verifier: TokenVerifier, token: str) -> Principal:
    """Check a token's signature, claims and revocation, the latter in the database.

    Raises Unauthenticated, and what the database raises when it is down.
    """
    principal = verifier.decode(token)
    if await tokens.is_revoked(db, principal.jti):
        verifier.known.forget(token)
        raise TokenRevoked
    return principal
