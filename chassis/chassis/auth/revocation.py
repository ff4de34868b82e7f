"""Revoked tokens. userfc's database is authoritative; Redis has a copy that every service reads."""

import hashlib
import time
from collections import OrderedDict
from enum import Enum, auto
from heapq import heappop, heappush
from typing import Protocol

import structlog

from chassis.errors import Unauthenticated, Unavailable
from chassis.redis.client import RedisClient

log = structlog.get_logger(__name__)

# Exists while Redis holds every token that was revoked before the last renewal of CURRENT; lost with Redis's data.
FILLED = "revoked:filled"
# Renewed by userfc every second, after it has written the latest revoked tokens. It ends by itself when userfc can't
# write: Redis is read only, full or without its disk, or was away.
CURRENT, CURRENT_S = "revoked:current", 3
CACHE_S = 2.0
CACHE_SIZE = 10_000
REFUSED_SIZE = 100_000
ASK_AGAIN_S = 1.0


def key(jti: str) -> str:
    """Return the Redis key that exists while the token `jti` is revoked and has not expired."""
    return f"revoked:{jti}"


class Copy(Enum):
    """What Redis knows of a token. LATE: it was not revoked when userfc wrote to Redis for the last time."""

    REVOKED = auto()
    NOT_REVOKED = auto()
    LATE = auto()
    UNKNOWN = auto()


async def in_redis(redis: RedisClient, jti: str) -> Copy:
    values = await redis.mget(key(jti), FILLED, CURRENT)
    if values is None:
        return Copy.UNKNOWN
    revoked, filled, current = values
    if revoked is not None:
        return Copy.REVOKED
    if filled is None:
        return Copy.UNKNOWN
    return Copy.LATE if current is None else Copy.NOT_REVOKED


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
    """Looks tokens up in Redis. Where Redis is away, has lost its data or is not up to date, the authority is asked.

    Without an answer of the authority a copy that is late counts as long as Redis takes writes: then userfc is away,
    and nobody can log out. Otherwise only reads pass. Answers of the authority are kept for `cache_s` seconds. A token
    that was refused once is refused for good.
    """

    def __init__(self, redis: RedisClient, authority: Authority | None = None, cache_s: float = CACHE_S) -> None:
        self._redis = redis
        self._authority = authority
        self._cache_s = cache_s
        self._answers: OrderedDict[str, tuple[bool, float]] = OrderedDict()
        self._refused = RefusedTokens()
        self._away = False
        self._ask_after = 0.0

    async def check(self, jti: str, token: str, exp: float, *, mutating: bool) -> None:
        """Raise TokenRevoked, or Unavailable when a change can't be checked now. `exp` is the end of the token."""
        name = jti or hashlib.sha256(token.encode()).hexdigest()
        if name in self._refused:
            raise TokenRevoked
        copy = await in_redis(self._redis, jti)
        valid: bool | None = copy is not Copy.REVOKED
        if copy in (Copy.LATE, Copy.UNKNOWN):
            valid = await self._ask(name, token)
            if valid is None and copy is Copy.LATE and await self._redis.takes_writes():
                valid = True
        if valid is False:
            self._refused.add(name, exp)
            raise TokenRevoked
        if valid is None and mutating:
            raise Unavailable("Your sign-in can't be checked now; try again in a moment")

    async def _ask(self, name: str, token: str) -> bool | None:
        """Return the authority's answer, or the one kept from before; None without one.

        While the authority is away, one caller a second asks it.
        """
        now = time.monotonic()
        known = self._answers.get(name)
        if known is not None and known[1] > now:
            return known[0]
        if self._authority is None or (self._away and now < self._ask_after):
            return None
        self._ask_after = now + ASK_AGAIN_S
        try:
            valid = await self._authority.validate_token(token)
        except Unavailable:
            log.warning("tokens can't be checked: userfc does not answer, and redis is away or not up to date")
            self._away, self._ask_after = True, time.monotonic() + ASK_AGAIN_S
            return None
        self._away = False
        self._answers[name] = (valid, now + self._cache_s)
        self._answers.move_to_end(name)
        while len(self._answers) > CACHE_SIZE:
            self._answers.popitem(last=False)
        return valid


class RefusedTokens:
    """The tokens that this process has refused as revoked. When there are too many, the first to end is dropped."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._by_end: list[tuple[float, str]] = []

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(self, name: str, exp: float) -> None:
        if name in self._names:
            return
        self._names.add(name)
        heappush(self._by_end, (exp, name))
        if len(self._by_end) > REFUSED_SIZE:
            self._names.discard(heappop(self._by_end)[1])
