"""What goes over the network to Xendit: connections, repeats, limits, proxies and certificates."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from prometheus_client import REGISTRY

from chassis import telemetry
from paymentfc.client import xendit_http as module
from paymentfc.client.xendit import Xendit
from paymentfc.errors import GatewayUnavailable
from testkit import eventually

from .gateway import draft
from .wire import ANSWER, CLOSE, Wire, wire

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def server() -> AsyncIterator[Wire]:
    async with wire() as server:
        yield server


@pytest.fixture
async def xendit(server: Wire) -> AsyncIterator[Xendit]:
    xendit = Xendit(server.url, "xnd_key")
    yield xendit
    await xendit.close()


async def noticed() -> None:
    """Let the event loop read what has come in on sockets."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_calls_share_a_connection_and_keep_no_cookie(server: Wire, xendit: Xendit) -> None:
    server.answers = [ANSWER.replace(b"\r\n", b"\r\nset-cookie: a=b; Path=/\r\n", 1)]
    await xendit.get("a")
    await xendit.get("a")
    assert server.connections == 1
    assert all("cookie" not in headers for _, headers, _ in server.requests)


async def test_at_most_32_connections_are_used(server: Wire, xendit: Xendit) -> None:
    server.hold = asyncio.Event()
    calls = asyncio.gather(*(xendit.get("a") for _ in range(40)))
    await eventually(lambda: len(server.requests) == 32)
    await noticed()
    assert server.open == 32
    server.hold.set()
    await calls
    assert (server.connections, len(server.requests)) == (32, 40)


async def test_an_idle_connection_is_closed(server: Wire, xendit: Xendit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.05)
    await xendit.get("a")
    await eventually(lambda: server.open == 0)


async def test_a_create_does_not_use_a_connection_that_was_closed_while_idle(server: Wire, xendit: Xendit) -> None:
    server.close_after_answer = True
    for count in (1, 2, 3):
        await eventually(lambda: server.open == 0)
        await noticed()
        with pytest.raises(GatewayUnavailable, match="another order"):
            await xendit.create(draft(external_id="order-8"))
        assert (server.connections, len(server.requests)) == (count, count)


@pytest.mark.parametrize("used_before", [True, False])
async def test_a_post_whose_connection_ends_without_an_answer_is_never_sent_again(
    server: Wire, xendit: Xendit, *, used_before: bool
) -> None:
    for call in (xendit.create(draft()), xendit.expire("a")):
        if used_before:
            await xendit.get("a")
        server.requests.clear()
        server.answers = [CLOSE]
        with pytest.raises(GatewayUnavailable, match=r"does not answer \(ServerDisconnectedError\)"):
            await call
        await noticed()
        assert len(server.requests) == 1


async def test_a_get_whose_connection_ends_without_an_answer_is_sent_once_more(server: Wire, xendit: Xendit) -> None:
    server.answers = [CLOSE]
    assert (await xendit.get("a")).id == "a"
    assert len(server.requests) == 2
    server.answers = [CLOSE, CLOSE]
    with pytest.raises(GatewayUnavailable):
        await xendit.get("a")
    assert len(server.requests) == 4


async def test_an_answer_that_ends_early_leaves_open_what_happened(server: Wire, xendit: Xendit) -> None:
    server.answers = [ANSWER[:-5]]
    server.close_after_answer = True
    with pytest.raises(GatewayUnavailable, match="does not answer"):
        await xendit.create(draft())
    assert len(server.requests) == 1


@pytest.mark.parametrize("header", [b"x: " + b"y" * 20_000 + b"\r\n", b"x: y\r\n" * 500, b" no header\r\n\x00\r\n"])
async def test_headers_have_bounds(server: Wire, xendit: Xendit, header: bytes) -> None:
    server.answers = [ANSWER.replace(b"\r\n", b"\r\n" + header, 1)]
    with pytest.raises(GatewayUnavailable, match="does not answer"):
        await xendit.get("a")


def unanswered() -> float:
    labels = {
        "server_address": "127.0.0.1",
        "http_request_method": "POST",
        "url_template": "/v2/invoices",
        "http_response_status_code": "",
        "error_type": "SocketTimeoutError",
    }
    return REGISTRY.get_sample_value("http_client_request_duration_seconds_count", labels) or 0


async def test_no_answer_is_waited_for_without_end_and_it_is_counted(
    server: Wire, xendit: Xendit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.05)
    server.hold = asyncio.Event()
    before = unanswered()
    with pytest.raises(GatewayUnavailable, match="SocketTimeoutError"):
        await xendit.create(draft())
    server.hold.set()
    assert unanswered() == before + 1
    assert len(server.requests) == 1


async def test_a_connection_that_is_refused_is_no_answer() -> None:
    async with wire() as server:
        xendit = Xendit(server.url, "xnd_key")
    with pytest.raises(GatewayUnavailable, match="does not answer"):
        await xendit.create(draft())
    await xendit.close()


async def test_the_request_on_the_wire(server: Wire, xendit: Xendit) -> None:
    for call in (xendit.get("a/../b?c#d é%"), xendit.expire("a"), xendit.get("..")):
        with telemetry.tracing.span("test"):
            await asyncio.gather(call, return_exceptions=True)
    assert server.lines == [
        "GET /v2/invoices/a%2F..%2Fb%3Fc%23d%20%C3%A9%25 HTTP/1.1",
        "POST /invoices/a/expire! HTTP/1.1",
        "GET /v2/invoices/.. HTTP/1.1",
    ]
    for _, headers, body in server.requests:
        assert headers["authorization"] == "Basic " + base64.b64encode(b"xnd_key:").decode()
        assert (headers["accept"], headers["accept-encoding"]) == ("application/json", "identity")
        assert "content-type" not in headers
        assert body == b""
    assert server.requests[1][1]["content-length"] == "0"


async def test_a_client_that_made_no_call_can_be_closed() -> None:
    await Xendit("http://127.0.0.1:1", "xnd_key").close()


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
async def test_the_proxy_of_the_environment_is_used(server: Wire, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, server.url.replace("//", "//me:secret@"))
    xendit = Xendit("http://xendit.invalid:8080/", "xnd_key")
    await xendit.get("a")
    await xendit.close()
    [(line, headers, _)] = server.requests
    assert line == "GET http://xendit.invalid:8080/v2/invoices/a HTTP/1.1"
    assert headers["proxy-authorization"] == "Basic " + base64.b64encode(b"me:secret").decode()
    assert headers["authorization"] == "Basic " + base64.b64encode(b"xnd_key:").decode()


async def test_a_proxy_gets_no_key_of_a_call_by_tls(server: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", server.url)
    server.answers = [b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n"]
    xendit = Xendit("https://xendit.invalid", "xnd_key")
    with pytest.raises(GatewayUnavailable, match="does not answer"):
        await xendit.create(draft())
    await xendit.close()
    [(line, headers, _)] = server.requests
    assert line == "CONNECT xendit.invalid:443 HTTP/1.1"
    assert "authorization" not in headers


@pytest.mark.parametrize("spared", ["*", "127.0.0.1", "localhost,127.0.0.1"])
async def test_an_address_that_needs_no_proxy_is_called_directly(
    server: Wire, xendit: Xendit, monkeypatch: pytest.MonkeyPatch, spared: str
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", spared)
    await xendit.get("a")
    assert server.lines == ["GET /v2/invoices/a HTTP/1.1"]


async def test_only_a_certificate_of_a_trusted_authority_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, other = trustme.CA(), trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.issue_cert("localhost").configure_cert(tls)
    for number, authority in enumerate((ours, other)):
        authority.cert_pem.write_to_path(tmp_path / str(number))

    async def seen(host: str, file: str | None) -> int:
        if file:
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / file))
        async with wire(tls) as server:
            xendit = Xendit(f"https://{host}:{server.port}", "xnd_key")
            await asyncio.gather(xendit.get("a"), return_exceptions=True)
            await xendit.close()
        return len(server.requests)

    assert [await seen("localhost", None), await seen("localhost", "1"), await seen("localhost", "0")] == [0, 0, 1]
    assert await seen("127.0.0.1", "0") == 0
