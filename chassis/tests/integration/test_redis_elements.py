"""An element of a list, read over the connection that all reads share."""

import asyncio

import pytest
from redis.exceptions import ResponseError

from .redis_server import RedisServer


async def test_it_reaches_who_asked_among_the_reads_of_the_same_turn(server: RedisServer) -> None:
    client = server.client()
    await client.raw.mset({"k1": "v1", "k2": "v2", "k3": "v3"})
    await client.raw.rpush("list", "first", "second")
    keys = ("k1", "list", "k2", "list", "k3")
    # The first turn opens the connection.
    for _ in range(2):
        asked = [
            client.reads.lindex(key, place) if key == "list" else client.reads.mget(key)
            for place, key in enumerate(keys)
        ]
        assert list(await asyncio.gather(*asked)) == [[b"v1"], b"second", [b"v2"], None, [b"v3"]]
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await client.reads.lindex("k1", 0)
    await client.close()
