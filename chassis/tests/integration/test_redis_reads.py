"""The connection that all reads share: answers reach those who asked, and no trouble of one outlives it."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ResponseError

from chassis.redis.client import TIMEOUT_S
from chassis.redis.reads import Address, RedisReads

from .fake_redis import ask_apart, command, fake, value_of
from .redis_server import RedisServer


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    result = RedisServer(tmp_path)
    result.start()
    client = result.client()
    await client.raw.mset({f"k{number}": f"v{number}" for number in range(1000)})
    await client.close()
    yield result
    result.stop()


def reads_of(server: RedisServer, password: str = "admin") -> RedisReads:
    return RedisReads(Address("127.0.0.1", server.port, password, None, "t"), TIMEOUT_S)


async def test_a_thousand_reads_at_once_get_their_own_answers(server: RedisServer) -> None:
    reads = reads_of(server)
    answers = await asyncio.gather(*(reads.mget(f"k{number}", "none") for number in range(1000)))
    assert answers == [[b"v%d" % number, None] for number in range(1000)]
    await reads.close()


async def test_the_reads_of_one_turn_are_one_command_that_has_each_key_once() -> None:
    commands: list[list[bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            commands.append(await command(reader))
            writer.write(value_of(commands[-1]))

    async with fake(serve) as reads:
        await reads.mget("first")
        commands.clear()
        asked = [["a", "mark"], ["b", "mark"], ["a", "a"]]
        answers = await asyncio.gather(*(reads.mget(*keys) for keys in asked))
        assert answers == [[key.encode() for key in keys] for keys in asked]
        assert commands == [[b"MGET", b"a", b"mark", b"b"]]
        await asyncio.gather(*await ask_apart(reads, ["c", "d"]))
        assert commands[1:] == [[b"MGET", b"c"], [b"MGET", b"d"]]


@pytest.mark.parametrize("answer", [b"*1\r\n$1\r\na\r\n", b"$1\r\na\r\n", b"*-1\r\n"])
async def test_a_malformed_answer_is_an_error_for_all_who_wait(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            parts = await command(reader)
            writer.write(answer if b"bad" in parts else value_of(parts))

    async with fake(serve) as reads:
        ended = await asyncio.gather(reads.mget("bad"), reads.mget("other"), return_exceptions=True)
        assert [type(error) for error in ended] == [InvalidResponse, InvalidResponse]
        assert await reads.mget("good") == [b"good"]


async def test_callers_that_go_away_shift_no_answer_to_others(server: RedisServer) -> None:
    reads = reads_of(server)
    await reads.mget("k0")
    for round_ in range(20):
        asked = [asyncio.create_task(reads.mget(f"k{number}")) for number in range(50)]
        await asyncio.sleep(0 if round_ % 2 else 0.001)
        for gone in asked[round_ % 3 :: 3]:
            gone.cancel()
        ended = await asyncio.gather(*asked, return_exceptions=True)
        assert all(
            isinstance(answer, asyncio.CancelledError) or answer == [b"v%d" % number]
            for number, answer in enumerate(ended)
        )
    assert await reads.mget("k7") == [b"v7"]
    await reads.close()


async def test_after_a_restart_of_the_server_the_next_read_is_answered(server: RedisServer) -> None:
    reads = reads_of(server)
    await reads.mget("k1")
    server.stop()
    server.start()
    assert await reads.mget("k1") == [None]
    server.stop()
    with pytest.raises(OSError, match="Connect call failed"):
        await reads.mget("k1")
    server.start()
    assert await asyncio.gather(*(reads.mget("k1") for _ in range(20))) == [[None]] * 20
    await reads.close()


async def test_an_answer_in_pieces_is_put_together() -> None:
    async def in_pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            for byte in value_of(await command(reader)):
                writer.write(bytes([byte]))
                await writer.drain()

    async with fake(in_pieces) as reads:
        answers = await asyncio.gather(*(reads.mget(f"key-{number}") for number in range(20)))
        answers += await asyncio.gather(*await ask_apart(reads, [f"key-{number}" for number in range(20, 25)]))
    assert answers == [[b"key-%d" % number] for number in range(25)]


async def test_a_read_that_is_cut_off_in_its_answer_is_made_once_more() -> None:
    connections = 0

    async def cut_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            answer = value_of(await command(reader))
            writer.write(answer[:7] if connections == 1 else answer)
            if connections == 1:
                return

    async with fake(cut_first) as reads:
        answers = await asyncio.gather(*(reads.mget(f"key-{number}") for number in range(5)))
    assert answers == [[b"key-%d" % number] for number in range(5)]
    assert connections == 2


async def test_a_server_that_always_cuts_off_is_tried_twice() -> None:
    connections = 0

    async def cut(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await command(reader)

    async with fake(cut) as reads:
        with pytest.raises(RedisConnectionError):
            await reads.mget("a")
    assert connections == 2


async def test_a_silent_server_ends_all_reads_in_time_and_the_next_ones_use_a_new_connection() -> None:
    silent = True

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            parts = await command(reader)
            if not silent:
                writer.write(value_of(parts))

    async with fake(serve) as reads:
        began = time.monotonic()
        ended = await asyncio.gather(*(reads.mget("a") for _ in range(10)), return_exceptions=True)
        assert all(isinstance(error, TimeoutError) for error in ended)
        assert TIMEOUT_S <= time.monotonic() - began < 5
        silent = False
        assert await reads.mget("b") == [b"b"]


async def test_answers_that_come_steadily_but_late_end_the_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            parts = await command(reader)
            # The pace of the answers is the subject.
            await asyncio.sleep(TIMEOUT_S / 2)
            writer.write(value_of(parts))

    async with fake(serve) as reads:
        await reads.mget("first")
        asked = await ask_apart(reads, [f"{number}" for number in range(10)])
        ended = await asyncio.gather(*asked, return_exceptions=True)
    assert ended[0] == [b"0"]
    assert isinstance(ended[-1], TimeoutError)


async def test_a_loop_that_stands_still_is_no_silent_server(server: RedisServer) -> None:
    reads = reads_of(server)
    await reads.mget("k1")
    for _ in range(5):
        asked = [asyncio.create_task(reads.mget("k1")) for _ in range(5)]
        await asyncio.sleep(0)
        # The block of the loop is the subject.
        time.sleep(1.25 * TIMEOUT_S)
        assert await asyncio.gather(*asked) == [[b"v1"]] * 5
    await reads.close()


@pytest.mark.parametrize("nonsense", [b"!what\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_what_is_no_answer_ends_the_connection_with_an_error(nonsense: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            parts = await command(reader)
            writer.write(nonsense if parts[1] == b"bad" else value_of(parts))

    async with fake(serve) as reads:
        with pytest.raises(InvalidResponse):
            await reads.mget("bad")
        assert await reads.mget("good") == [b"good"]


async def test_an_answer_too_many_is_no_answer_to_the_next_read() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            parts = await command(reader)
            writer.write(value_of(parts) * (2 if parts[1] == b"twice" else 1))

    async with fake(serve) as reads:
        assert await reads.mget("twice") == [b"twice"]
        assert await reads.mget("next") == [b"next"]


async def test_an_error_of_one_command_is_that_of_its_callers_only() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            parts = await command(reader)
            writer.write(b"-NOPERM no\r\n" if parts[1] == b"bad" else value_of(parts))

    async with fake(serve) as reads:
        await reads.mget("first")
        asked = await ask_apart(reads, ["a", "bad", "b"])
        ended = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in ended] == [list, ResponseError, list]


async def test_a_wrong_password_is_an_error_and_a_server_that_loads_is_away(server: RedisServer) -> None:
    with pytest.raises(ResponseError, match="WRONGPASS"):
        await reads_of(server, "wrong").mget("k1")

    async def loading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await command(reader)
            writer.write(b"-LOADING Redis is loading the dataset in memory\r\n")

    async with fake(loading) as reads:
        with pytest.raises(RedisConnectionError, match="LOADING"):
            await reads.mget("a")
