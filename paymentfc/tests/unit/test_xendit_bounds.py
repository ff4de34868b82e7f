"""What the Xendit client takes from an answer: bounded in size and time, and no address that harms a browser."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx2
import pytest

from paymentfc.client import xendit_http as module
from paymentfc.errors import GatewayUnavailable, Refused
from testkit import eventually

from .gateway import INVOICE, Client, answering, draft


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,<script>",
        "http://checkout.xendit.co/web/1",
        "//checkout.xendit.co/web/1",
        "/web/1",
        "https://",
        "https:///web/1",
        "https://x/a b",
        "https://x\\@y/",
        "https://x/\n",
        "https://x/\udc00",
        "https://[x",
        "https://x/" + "a" * 2048,
        "",
        7,
    ],
)
async def test_an_invoice_address_that_a_browser_must_not_be_sent_to_is_an_invalid_answer(
    client: Client, url: object
) -> None:
    content = json.dumps({**INVOICE, "invoice_url": url}).encode()
    xendit = client(lambda _: httpx2.Response(200, content=content))
    for call in (xendit.get("a"), xendit.create(draft())):
        with pytest.raises(GatewayUnavailable, match="no valid invoice_url"):
            await call


async def test_only_the_simulator_may_have_an_address_without_tls(client: Client) -> None:
    answer = answering(200, json={**INVOICE, "id": "a", "invoice_url": "http://localhost:28090/web/1"})
    assert (await client(answer, allow_http=True).get("a")).invoice_url == "http://localhost:28090/web/1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "x" * 256),
        ("external_id", "😀" * 64),
        ("status", "P" * 65),
        ("amount", "1E+31"),
        ("amount", "1." + "0" * 31),
        ("amount", "true"),
        ("amount", '"150000"'),
        ("paid_amount", '"150000"'),
        ("paid_amount", "1E+31"),
        ("currency", 5),
        ("currency", ""),
    ],
)
async def test_a_field_without_bounds_is_an_invalid_answer(client: Client, name: str, value: str | int) -> None:
    text = value if name.endswith("amount") and isinstance(value, str) else json.dumps(value)
    content = json.dumps({**INVOICE, name: "@"}).replace('"@"', text).encode()
    with pytest.raises(GatewayUnavailable, match=f"no readable {name}"):
        await client(lambda _: httpx2.Response(200, content=content)).get("a")


async def test_the_text_of_a_refusal_is_bounded(client: Client) -> None:
    body = {"error_code": "X" * 10_000, "message": "y" * 900_000, "errors": ["z" * 9_000]}
    with pytest.raises(Refused) as refused:
        await client(answering(400, json=body)).get("a")
    assert len(str(refused.value)) < 1_000


async def test_a_refusal_that_is_nested_as_deep_as_can_be_read_is_a_refusal(client: Client) -> None:
    # Writing it back takes some more of the stack than reading it.
    for depth in range(940, 1_000):
        content = b'{"errors":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
        with pytest.raises(Refused):
            await client(answering(400, content=content)).get("a")


class Endless(httpx2.AsyncByteStream):
    """A body without an end that counts what was read of it."""

    def __init__(self) -> None:
        self.read = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.read += 65_536
            yield b"[" * 65_536

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_an_answer_is_read_up_to_one_mebibyte_and_no_further(client: Client, status: int) -> None:
    body = Endless()
    with pytest.raises(GatewayUnavailable, match="over 1048576 bytes"):
        await client(lambda _: httpx2.Response(status, stream=body)).get("a")
    # The rest is in the buffers of the two sockets.
    assert body.read <= module.MAX_ANSWER + 16 * 1024 * 1024
    await eventually(lambda: body.closed)


async def test_a_compressed_answer_is_not_unpacked(client: Client) -> None:
    body = Endless()
    answer = client(lambda _: httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=body))
    with pytest.raises(GatewayUnavailable, match="compressed"):
        await answer.get("a")
    await eventually(lambda: body.closed)


class Dripping(httpx2.AsyncByteStream):
    """A body that never ends and never pauses long enough for a time-out of one read."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            yield b" "


async def test_an_answer_that_drips_without_end_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALL_LIMIT_S", 0.05)
    async with asyncio.timeout(10):
        with pytest.raises(GatewayUnavailable):
            await client(lambda _: httpx2.Response(200, stream=Dripping())).get("a")
