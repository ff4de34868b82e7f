"""Whether a token was logged out: Redis has the fast copy, userfc the truth, and without both only reads go on."""

import time
from typing import Protocol

import structlog
from prometheus_client import Counter

from chassis.auth import Principal
from chassis.errors import Unavailable
from chassis.redis import RedisClient

log = structlog.get_logger(__name__)

ASKED = Counter("revocation_checks_total", "Where the answer on a token's revocation came from", ["source"])

CACHE_S = 5.0
CACHE_SIZE = 10_000


def revoked_key(jti: str) -> str:
    """Name the Redis key of a revoked token."""
    return f"revoked:{jti}"


class TokenAuthority(Protocol):
    """userfc's ValidateToken. Raises Unavailable when it can't be asked."""

    async def validate_token(self, token: str) -> bool: ...  # noqa: D102


class Revocations:
    """Asks Redis; while Redis is away asks userfc (answers kept for 5 s); while both are, lets reads pass."""

    def __init__(self, redis: RedisClient, authority: TokenAuthority) -> None:
        self._redis = redis
        self._authority = authority
        self._cache: dict[str, tuple[float, bool]] = {}

    async def check(self, principal: Principal, token: str, *, mutating: bool) -> bool:
        """Tell whether the token was revoked. Raises Unavailable for a mutating route when nobody can say."""
        try:
            found = await self._redis.call(lambda client: client.exists(revoked_key(principal.jti)))
        except Unavailable:
            return await self._ask(principal, token, mutating=mutating)
        ASKED.labels("redis").inc()
        return bool(found)

    async def _ask(self, principal: Principal, token: str, *, mutating: bool) -> bool:
        cached = self._cache.get(principal.jti)
        if cached and cached[0] > time.monotonic():
            return cached[1]
        try:
            revoked = not await self._authority.validate_token(token)
        except Unavailable:
            ASKED.labels("nobody").inc()
            if mutating:
                raise Unavailable("it can't be checked now whether the token was revoked") from None
            return False
        ASKED.labels("userfc").inc()
        if len(self._cache) >= CACHE_SIZE:
            self._cache.clear()
        self._cache[principal.jti] = (time.monotonic() + CACHE_S, revoked)
        return revoked
