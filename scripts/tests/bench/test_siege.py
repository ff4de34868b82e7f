"""The siege: what counts as a failure of a request, which bounds it checks, and how long it holds connections."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from bench.siege import honest, requests, sockets
from bench.siege.honest import Customers, Journal
from bench.siege.target import Target
from bench.siege.verdict import Verdict
from testkit import free_port

URLS = dict.fromkeys(("userfc", "productfc", "orderfc", "paymentfc", "xendit"), "http://shop")
SOUND = Verdict.of(
    1.0, Journal(seconds=[0.1] * 100, placed=5, completed=5), {"userfc": 120.0}, {"probes": {"200": 3}}, 7, []
)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"unfair": ["GET /: 500"]}, "1 requests of customers failed, first: GET /: 500"),
        ({"completed": 4}, "1 of 5 orders were not completed"),
        ({"placed": 0, "completed": 0}, "no order was completed"),
        ({"p95_s": 0.5}, "p95 is 500 ms"),
        ({"memory_mib": {"userfc": 300.0}}, "userfc took 300 MiB"),
        ({"audit": ["order 7"]}, "1 violations in the audit, first: order 7"),
    ],
)
def test_each_bound_that_is_broken_is_named(change: dict[str, Any], says: str) -> None:
    assert SOUND.broken() == []
    (line,) = replace(SOUND, **change).broken()
    assert says in line
    assert replace(SOUND, **change).as_json()["broken"] == [line]


def test_the_p95_is_that_of_all_requests() -> None:
    times = [0.1] * 94 + [0.9] * 6
    assert Verdict.of(1.0, Journal(seconds=times), {}, {}, 0, []).p95_s == 0.9


class Shop:
    """Answers the requests of one order; `answers` come first, one for each checkout."""

    def __init__(self, *answers: httpx2.Response) -> None:
        self.answers = list(answers)
        self.keys: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path == "/v1/orders/checkout":
            self.keys.append(request.headers["idempotency-key"])
            return self.answers.pop(0) if self.answers else httpx2.Response(201, json={"order_id": 7})
        bodies = {
            "/v1/login": {"token": "t"},
            "/v1/payments/7": {"invoice_id": "i", "invoice_url": "https://pay"},
            "/v1/orders/7": {"status": "completed"},
        }
        return httpx2.Response(200, json=bodies.get(path, {}))


async def bought(shop: Shop) -> Journal:
    """Run customers who place one order."""
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(shop)) as client:
        customers = Customers(client, URLS, {"id": 1})
        await customers.open()
        await customers.run(0.01, 5)
    return customers.journal


async def test_a_refusal_with_retry_after_is_repeated_with_the_same_key_and_is_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(honest, "BACKOFF_S", 0)
    monkeypatch.setattr(honest, "LOGIN_EVERY_S", 0.1)
    shop = Shop(*(httpx2.Response(status, headers={"retry-after": "0"}) for status in (429, 503)))
    journal = await bought(shop)
    assert (journal.placed, journal.completed, journal.refused, journal.failures) == (1, 1, 2, [])
    assert len(shop.keys) == 3
    assert len(set(shop.keys)) == 1


@pytest.mark.parametrize("answer", [httpx2.Response(503), httpx2.Response(500), httpx2.Response(409)])
async def test_every_other_refusal_is_a_failure(answer: httpx2.Response, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(honest, "LOGIN_EVERY_S", 0.1)
    journal = await bought(Shop(answer))
    assert (journal.placed, journal.completed) == (0, 0)
    assert [line.split(": ")[1][:3] for line in journal.failures] == [str(answer.status_code)]


async def test_a_pay_page_that_does_not_answer_is_a_failure_and_ends_only_its_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken(Shop):
        def __call__(self, request: httpx2.Request) -> httpx2.Response:
            if request.url.path.startswith("/_sim/"):
                raise httpx2.ReadError("", request=request)
            return super().__call__(request)

    monkeypatch.setattr(honest, "LOGIN_EVERY_S", 0.1)
    journal = await bought(Broken())
    assert (journal.placed, journal.completed) == (1, 0)
    assert journal.failures == ["POST http://shop/_sim/invoices/i/pay: ReadError "]


async def test_half_sent_bodies_and_idle_sockets_are_held_and_their_end_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "HALF_SENT", 2)
    monkeypatch.setattr(sockets, "IDLE", 2)
    monkeypatch.setattr(sockets, "HELD_S", 0.3)
    sources = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sources.add(writer.get_extra_info("peername")[0])
        if (await reader.readline()).startswith(b"POST"):
            writer.write(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
            writer.close()
        else:
            await reader.read()
            writer.close()

    port = free_port()
    async with await asyncio.start_server(answer, "127.0.0.1", port):
        target = Target(dict.fromkeys(sockets.POSTS, port), "", "", "", 1, {}, "")
        seen: Counter[str] = Counter()
        await sockets.half_sent_bodies(target, "127.0.0.4", seen)
        assert seen == {"408": 8}
        seen.clear()
        await sockets.idle_sockets(target, "127.0.0.5", seen)
        assert seen == {"open after 0.3 s": 8}
    assert sources == {"127.0.0.4", "127.0.0.5"}


def test_the_costly_body_is_valid_json_of_a_megabyte() -> None:
    assert (1 << 20) - 4096 < len(requests.MANY_OBJECTS) <= 1 << 20
    assert requests.MANY_OBJECTS.startswith(b"[{},{},")
    assert requests.MANY_OBJECTS.endswith(b"{}]")
