"""The products in Redis, compared with productfc's table."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from fc.audit.rules.rule import Fault
from fc.platform.errors import CouldNotCheck
from fc.platform.snapshot import Snapshot

ANSWER_S = 5
# An answer leaves the cache after five minutes: more are there only where very many products are read.
MOST = 20_000
BATCH = 500
SWEEP_S, RECHECK_S = 5, 0.25

_PRODUCTS = """
SELECT id, name, price, stock, deleted_at IS NOT NULL AS deleted, updated_at FROM products WHERE id = ANY($1::bigint[])
"""

Cached = Mapping[bytes, bytes]
"""Key -> stored value."""


async def read_cache(url: str) -> Cached:
    """Return the products that Redis holds, at most MOST of them. Raises CouldNotCheck."""
    async with _opened(url) as redis:
        try:
            keys: list[bytes] = []
            async for key in redis.scan_iter("product:*", count=1000):
                if key.count(b":") == 1 and len(keys) < MOST:
                    keys.append(key)
            return await _values(redis, keys)
        except (RedisError, OSError, TimeoutError) as error:
            raise CouldNotCheck(f"Redis: {error}") from error


async def cache_faults(url: str, cached: Cached, snapshot: Snapshot) -> AsyncIterator[Fault]:
    """Yield the answers that differ from a snapshot that was taken after they were read, and go on to do so.

    An answer that its change, or the sweep after an outage of Redis, invalidates within SWEEP_S is not at fault. Raises
    CouldNotCheck.
    """
    found = {key: fault async for key, fault in _differences(cached, snapshot)}
    try:
        async with _opened(url) as redis:
            deadline = time.monotonic() + SWEEP_S
            while found and time.monotonic() < deadline:
                now = await _values(redis, list(found))
                found = {key: fault for key, fault in found.items() if now.get(key) == cached[key]}
                await asyncio.sleep(RECHECK_S if found else 0)
    except (RedisError, OSError, TimeoutError) as error:
        raise CouldNotCheck(f"Redis: {error}") from error
    for fault in found.values():
        yield fault


async def _differences(cached: Cached, snapshot: Snapshot) -> AsyncIterator[tuple[bytes, Fault]]:
    by_id = {int(key.rsplit(b":", 1)[1]): key for key in cached if key.rsplit(b":", 1)[1].isdigit()}
    ids = list(by_id)
    for start in range(0, len(ids), BATCH):
        rows = await snapshot.fetch("productfc", _PRODUCTS, ids[start : start + BATCH])
        for row in rows:
            key = by_id[row["id"]]
            held, sound = _told(cached[key]), _text(row["name"], row["price"], row["stock"])
            if row["deleted"] or held != sound:
                expected = "none: the product is off sale" if row["deleted"] else sound
                yield key, Fault(expected, held, row["updated_at"], f"product {row['id']} in the cache")


def _told(value: bytes) -> str:
    """Read the answer behind the mark of its shape."""
    try:
        answer: dict[str, Any] = orjson.loads(value[value.index(b"{") :])
        return _text(answer["name"], answer["price"], answer["stock"])
    except (ValueError, KeyError, TypeError, InvalidOperation):
        return "no answer that can be read"


def _text(name: object, price: object, stock: object) -> str:
    return f"{name}, {Decimal(str(price)).normalize():f}, stock {stock}"


async def _values(redis: Redis, keys: list[bytes]) -> dict[bytes, bytes]:
    held: dict[bytes, bytes] = {}
    for start in range(0, len(keys), BATCH):
        some = keys[start : start + BATCH]
        held |= {
            key: value for key, value in zip(some, await redis.mget(some), strict=True) if isinstance(value, bytes)
        }
    return held


def _opened(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S)
