"""Whether a token was logged out, by userfc's own database."""

from chassis.auth.revocation import TokenRevoked
from chassis.auth.tokens import Principal, TokenVerifier
from chassis.db.database import Database
from chassis.errors import Unauthenticated, Unavailable, is_transient
from userfc.repository import tokens


class OwnDatabase:
    """The authority of userfc's own routes, where other services ask userfc by gRPC."""

    def __init__(self, db: Database, verifier: TokenVerifier) -> None:
        self._db = db
        self._verifier = verifier

    async def validate_token(self, token: str) -> bool:
        """Return whether the token is valid and not revoked. Raises Unavailable when the database is away."""
        try:
            await judge(self._db, self._verifier, token)
        except Unauthenticated:
            return False
        except Exception as error:
            if not is_transient(error):
                raise
            raise Unavailable("The database does not answer") from error
        return True


async def judge(db: Database, verifier: TokenVerifier, token: str) -> Principal:
    """Check a token against the truth: signature, claims, and the database's list of revoked tokens.

    Raises Unauthenticated, and what the database raises when it is away.
    """
    principal = verifier.decode(token)
    if await tokens.is_revoked(db, principal.jti):
        raise TokenRevoked
    return principal
