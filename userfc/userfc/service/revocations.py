"""Whether a token was logged out, as userfc finds out: Redis at once, its own database when Redis is away."""

from chassis.auth.revocation import Revocations, in_redis
from chassis.auth.tokens import Principal, TokenVerifier
from chassis.db.database import Database
from chassis.errors import Unauthenticated, Unavailable, is_transient
from chassis.redis import RedisClient
from userfc.repository import tokens


class OwnRevocations(Revocations):
    """Asks the database where other services ask userfc, and remembers no answers."""

    def __init__(self, redis: RedisClient, db: Database) -> None:
        super().__init__(redis)
        self._db = db

    async def check(self, jti: str, token: str, *, mutating: bool) -> None:
        """Raise Unauthenticated for a revoked token, Unavailable when a change can't be cleared now."""

        revoked = await in_redis(self._redis, jti)
        if revoked is None:
            try:
                revoked = await tokens.is_revoked(self._db, jti)
            except Exception as error:
                if not is_transient(error):
                    raise
                if mutating:
                    raise Unavailable("Your sign-in can't be checked now; try again in a moment") from error
        if revoked:
            raise logged_out()


async def judge(db: Database, verifier: TokenVerifier, token: str) -> Principal:
    """Check a token against the truth: signature, claims, and the database's list of what was logged out.

    Raises Unauthenticated, and what the database raises when it is away.
    """
    principal = verifier.decode(token)
    if await tokens.is_revoked(db, principal.jti):
        raise logged_out()
    return principal


def logged_out() -> Unauthenticated:
    """Make the refusal of a token that was logged out."""
    return Unauthenticated("The token is no longer valid", code="invalid_token")
