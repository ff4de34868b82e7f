"""Bounds on connections, heads, bodies and unread answers, measured on a process of its own."""

import asyncio
import time
from collections import Counter

import httpx2
import pytest

from testkit import eventually

from .bounds_server import Running
from .raw_client import POST, Raw, many, memory_mib, slowest, sockets, status_of

GET = b"GET /ping HTTP/1.1\r\nHost: x\r\n"
LARGE_HEADS = {
    "one field": (b"X: ", b"x" * 65536),
    "small fields": (b"", b"".join(b"x%d: y\r\n" % number for number in range(6000))),
    "one name": (b"", b"x" * 65536),
    "one address": (b"", b""),
}


@pytest.mark.parametrize("name", LARGE_HEADS)
async def test_a_head_over_its_bound_is_431_holds_no_memory_and_keeps_no_one_waiting(
    running: Running, name: str
) -> None:
    start, piece = LARGE_HEADS[name]
    head = GET + start if piece else b"GET /" + b"x" * 9000
    before = memory_mib(running.pid)

    async def attack() -> set[int]:
        statuses = set()
        for _ in range(20):
            raw = await Raw.connect(running.url)
            sent = await raw.send(head)
            while sent and piece and await raw.send(piece) and not raw.writer.is_closing():
                if raw.writer.transport.is_closing():
                    break
            statuses.add(status_of(await raw.rest()))
        return statuses

    attacking = asyncio.create_task(attack())
    longest = await slowest(running.client, attacking)
    # The answer is lost where the client's own sending is cut short by the closed connection.
    assert await attacking <= {431, 0}
    assert longest < 1
    assert memory_mib(running.pid) - before < 16


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"x" * 8000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /" + b"x" * 8200 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (GET + b"".join(b"x%d: y\r\n" % number for number in range(98)) + b"connection: close\r\n\r\n", 200),
        (GET + b"".join(b"x%d: y\r\n" % number for number in range(100)) + b"\r\n", 431),
        (GET + b"x: " + b"y" * 32_000 + b"\r\nconnection: close\r\n\r\n", 200),
        (GET + b"x: " + b"y" * 32_768 + b"\r\n\r\n", 431),
    ],
)
async def test_a_head_may_have_8_kib_in_its_first_line_100_fields_and_32_kib(
    running: Running, head: bytes, status: int
) -> None:
    raw = await Raw.connect(running.url)
    await raw.send(head)
    assert status_of(await raw.rest()) == status


ENDLESS = dict(
    [
        (b"", 0),
        (b"\r\n", 0),
        (b"GET /ping HT", 408),
        (GET, 408),
        (POST + b"Content-Length: 100\r\n\r\n{", 408),
        (POST + b"Content-Length: 100\r\n\r\n", 408),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{", 408),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 100, 408),
        (POST + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n", 408),
        (b"GET /v1/things/bodyless HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", 200),
        (b"GET /v1/things/bodyless HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{", 408),
        (b"GET /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{", 408),
        (GET + b"\r\n", 200),
        (GET + b"\r\n" + GET, 408),
    ]
)


async def test_what_never_ends_is_answered_and_closed(running: Running) -> None:
    opened = {first: await Raw.connect(running.url) for first in ENDLESS}
    for first, raw in opened.items():
        await raw.send(first)
    got = await asyncio.gather(*(raw.rest(12) for raw in opened.values()))
    assert dict(zip(opened, map(status_of, got), strict=True)) == ENDLESS


async def test_a_body_that_trickles_is_cut_and_one_that_flows_is_not(running: Running) -> None:
    slow, fast = await Raw.connect(running.url), await Raw.connect(running.url)
    body = b'{"quantity":1,"name":"a"' + b" " * 2000 + b"}"
    began, sent = time.monotonic(), 0
    for raw in (slow, fast):
        await raw.send(POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body))

    async def feed() -> None:
        nonlocal sent
        while sent < len(body):
            await fast.send(body[sent : sent + 200])
            sent += 200
            await slow.send(b" ")
            # The pace is what the server judges.
            await asyncio.sleep(0.25)

    feeding = asyncio.create_task(feed())
    assert status_of(await slow.rest()) == 408
    assert 2 <= time.monotonic() - began < 5
    await feeding
    assert status_of(await fast.rest()) == 200


async def test_half_sent_bodies_keep_no_one_waiting_and_do_not_stay(running: Running) -> None:
    before = sockets(running.pid)
    for kind in (b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"):
        async with many(running.url, 300, POST + kind) as stuck:
            ending = asyncio.gather(*(raw.rest(12) for raw in stuck))
            answer = await running.client.post("/v1/things/1", json={"quantity": 1, "name": "a"})
            assert answer.status_code == 200
            assert await slowest(running.client, ending) < 1
            assert set(map(status_of, await ending)) == {408}
    await eventually(lambda: sockets(running.pid) <= before + 1)


async def test_bodies_over_the_budget_of_the_process_are_503_and_it_says_so(running: Running) -> None:
    half = POST + b"Content-Length: 60001\r\n\r\n" + b" " * 60_000
    async with many(running.url, 60, half) as stuck:
        await eventually(lambda: running.ready("overloaded"))
        statuses = Counter(map(status_of, await asyncio.gather(*(raw.rest(12) for raw in stuck))))
    assert set(statuses) == {408, 503}
    assert 2_000_000 // 60_000 - 2 <= statuses[408] <= 2_000_000 // 60_000
    answer = await running.client.post("/v1/things/1", json={"quantity": 1, "name": "a"})
    assert answer.status_code == 200


async def test_bodies_of_answered_requests_leave_the_budget_also_while_the_next_request_is_here(
    running: Running,
) -> None:
    body = b'{"quantity":1,"name":"a"' + b" " * 60_000 + b"}"
    request = POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    raw = await Raw.connect(running.url)
    await raw.send(request * 3)
    for _ in range(100):
        assert (await raw.until(b"\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await raw.send(request)
        await raw.until(b'"name":"a"}')
    raw.writer.close()


async def test_beyond_the_bound_the_connections_that_wait_longest_make_room(running: Running) -> None:
    before = sockets(running.pid)
    async with many(running.url, 1000, GET):
        assert sockets(running.pid) - before <= 400
        async with httpx2.AsyncClient(base_url=running.url) as newcomer:
            assert (await newcomer.get("/ping")).status_code == 200
    await eventually(lambda: sockets(running.pid) <= before + 1)


async def test_answers_that_are_not_taken_do_not_stay(running: Running) -> None:
    ask = b"GET /v1/things/large HTTP/1.1\r\nHost: x\r\n\r\n"
    before, held = memory_mib(running.pid), sockets(running.pid)
    highest = before

    def are_closed() -> bool:
        nonlocal highest
        highest = max(highest, memory_mib(running.pid))
        return sockets(running.pid) <= held + 1

    async with many(running.url, 200, ask * 3):
        closing = asyncio.ensure_future(eventually(are_closed, 20, 0.2))
        assert await slowest(running.client, closing) < 5
        await closing
    assert highest - before < 64
    assert memory_mib(running.pid) - before < 64


async def test_requests_in_a_row_on_one_connection_are_bounded(running: Running) -> None:
    before = memory_mib(running.pid)
    raw = await Raw.connect(running.url)
    await raw.send((GET + b"\r\n") * 20_000)
    answer = await raw.rest()
    assert status_of(answer) == 400
    assert answer.count(b"HTTP/1.1 200") <= 20
    assert memory_mib(running.pid) - before < 16


async def test_answers_come_in_the_order_of_the_requests_also_when_a_later_one_is_refused(running: Running) -> None:
    raw = await Raw.connect(running.url)
    await raw.send(GET + b"\r\n" + GET + b"\r\nnonsense\r\n\r\n")
    answers = (await raw.rest()).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200", b"200", b"400"]
