"""Revoked tokens: Redis holds a copy that every service reads, userfc's database holds the truth."""

import time
from collections import OrderedDict
from typing import Protocol

import structlog
from redis.asyncio import Redis

from chassis.errors import Unauthenticated, Unavailable
from chassis.redis import RedisClient

log = structlog.get_logger(__name__)

# This key exists while Redis holds every revoked token; userfc sets it after it has filled Redis.
FILLED = "revoked:filled"
CACHE_S = 5.0
CACHE_SIZE = 10_000
ASK_AGAIN_S = 1.0


def key(jti: str) -> str:
    """Return the Redis key that exists while the token `jti` is revoked and has not expired."""
    return f"revoked:{jti}"


async def in_redis(redis: RedisClient, jti: str) -> bool | None:
    """Return whether a token is revoked; None when Redis is away or no longer complete."""

    async def look(client: Redis) -> bool | None:
        revoked, filled = await client.mget(key(jti), FILLED)
        if revoked is not None:
            return True
        return None if filled is None else False

    return await redis.or_default(look, None)


class TokenRevoked(Unauthenticated):
    """The token was logged out."""

    code = "invalid_token"

    def __init__(self) -> None:
        super().__init__("The token is no longer valid")


class Authority(Protocol):
    """The source of truth for tokens: userfc by gRPC, and in userfc its own database."""

    async def validate_token(self, token: str) -> bool:
        """Return whether the token is valid and not revoked. Raises Unavailable when there is no answer."""


class Revocations:
    """Looks tokens up in Redis. Where Redis is away or has lost its data the authority is asked.

    Without an answer of either, only reads pass. Answers of the authority are kept for `cache_s` seconds.
    """

    def __init__(self, redis: RedisClient, authority: Authority | None = None, cache_s: float = CACHE_S) -> None:
        self._redis = redis
        self._authority = authority
        self._cache_s = cache_s
        self._answers: OrderedDict[str, tuple[bool, float]] = OrderedDict()
        self._ask_after = 0.0

    async def check(self, jti: str, token: str, *, mutating: bool) -> None:
        """Raise TokenRevoked, or Unavailable when a change can't be checked now."""
        revoked = await in_redis(self._redis, jti)
        if revoked is None:
            valid = await self._ask(jti, token)
            if valid is None and mutating:
                raise Unavailable("Your sign-in can't be checked now; try again in a moment")
            revoked = valid is False
        if revoked:
            raise TokenRevoked

    async def _ask(self, jti: str, token: str) -> bool | None:
        """Return the authority's answer, or the one kept from before; None without one."""
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
            log.warning("tokens can't be checked: neither redis nor the authority answers")
            self._ask_after = time.monotonic() + ASK_AGAIN_S
            return None
        self._answers[name] = (valid, time.monotonic() + self._cache_s)
        self._answers.move_to_end(name)
        while len(self._answers) > CACHE_SIZE:
            self._answers.popitem(last=False)
        return valid
