"""Whether a token was logged out: Redis knows at once, userfc knows for sure, and changes wait when neither can say."""

import time
from collections import OrderedDict
from typing import Protocol

import structlog
from redis.asyncio import Redis

from chassis.errors import Unauthenticated, Unavailable
from chassis.redis import RedisClient

log = structlog.get_logger(__name__)

# Exists while Redis knows of every token that was logged out; userfc sets it when it has filled Redis.
FILLED = "revoked:filled"
CACHE_S = 5.0
CACHE_SIZE = 10_000
ASK_AGAIN_S = 1.0


def key(jti: str) -> str:
    """Give the Redis key that exists while the token `jti` is revoked and has not expired."""
    return f"revoked:{jti}"


async def in_redis(redis: RedisClient, jti: str) -> bool | None:
    """Tell whether Redis knows that a token was logged out; None when Redis is away, or has lost what it knew."""

    async def look(client: Redis) -> bool | None:
        revoked, filled = await client.mget(key(jti), FILLED)
        if revoked is not None:
            return True
        return None if filled is None else False

    return await redis.try_(look, None)


class Authority(Protocol):
    """Who knows for sure whether a token is valid: userfc, by gRPC."""

    async def validate_token(self, token: str) -> bool:
        """Tell whether the token is valid and not revoked. Raises Unavailable when it can't be found out."""


class Revocations:
    """Looks a token up in Redis; without Redis, or when Redis has lost its data, asks the authority; without both lets only reads pass."""

    def __init__(self, redis: RedisClient, authority: Authority | None = None) -> None:
        self._redis = redis
        self._authority = authority
        self._answers: OrderedDict[str, tuple[bool, float]] = OrderedDict()
        self._ask_after = 0.0

    async def check(self, jti: str, token: str, *, mutating: bool) -> None:
        """Raise Unauthenticated for a revoked token, Unavailable when a change can't be cleared now."""

        found = await in_redis(self._redis, jti)
        if found is None:
            valid = await self._ask(jti, token)
            if valid is None and mutating:
                raise Unavailable("Your sign-in can't be checked now; try again in a moment")
            found = valid is False
        if found:
            raise Unauthenticated("The token is no longer valid", code="invalid_token")

    async def _ask(self, jti: str, token: str) -> bool | None:
        """Ask the authority, or remember what it said within 5 s; None when it doesn't answer."""
        now = time.monotonic()
        name = jti or token
        known = self._answers.get(name)
        if known is not None and known[1] > now:
            return known[0]
        if self._authority is None or now < self._ask_after:
            return None
        try:
            valid = await self._authority.validate_token(token)
        except Unavailable:
            log.warning("tokens can't be checked: neither redis nor userfc answers")
            self._ask_after = time.monotonic() + ASK_AGAIN_S
            return None
        self._answers[name] = (valid, time.monotonic() + CACHE_S)
        self._answers.move_to_end(name)
        while len(self._answers) > CACHE_SIZE:
            self._answers.popitem(last=False)
        return valid
