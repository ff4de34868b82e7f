"""Forms of a request that are no HTTP/1 with one host, and what comes after a body."""

import pytest

from .bounds_server import Running
from .raw_client import POST, Raw, memory_mib, status_of

FORMS = {
    "no Host": b"GET /ping HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /ping HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "two Hosts of HTTP/1.0": b"GET /ping HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n",
    "two in one": b"GET /ping HTTP/1.1\r\nHost: x, y\r\n\r\n",
    "a Host with a path": b"GET /ping HTTP/1.1\r\nHost: x/y\r\n\r\n",
    "a Host with a user": b"GET /ping HTTP/1.1\r\nHost: a@x\r\n\r\n",
    "absolute form": b"GET http://x/ping HTTP/1.1\r\nHost: x\r\n\r\n",
    "asterisk form": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "authority form": b"GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/0.9": b"GET /ping\r\n\r\n",
    "HTTP/0.9 by name": b"GET /ping HTTP/0.9\r\n\r\n",
    "HTTP/2": b"GET /ping HTTP/2.0\r\nHost: x\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a slash that is escaped": b"GET /v1%2Fthings/7 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a slash that is escaped in small letters": b"GET /v1/things%2f7 HTTP/1.1\r\nHost: x\r\n\r\n",
    "two tokens": b"GET /ping HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
    "two tokens of callbacks": b"GET /ping HTTP/1.1\r\nHost: x\r\nX-Callback-Token: a\r\nx-callback-token: b\r\n\r\n",
    "two types": b"GET /ping HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Type: a/b\r\n\r\n",
    "HTTP/1.2": b"GET /ping HTTP/1.2\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", FORMS)
async def test_what_is_no_origin_form_of_http_1_with_one_host_is_400(running: Running, name: str) -> None:
    raw = await Raw.connect(running.url)
    await raw.send(FORMS[name])
    assert status_of(await raw.rest()) == 400


async def test_an_escaped_slash_in_the_query_is_text(running: Running) -> None:
    raw = await Raw.connect(running.url)
    await raw.send(b"GET /ping?a=b%2Fc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert status_of(await raw.rest()) == 200


async def test_http_1_0_needs_no_host_and_is_closed(running: Running) -> None:
    raw = await Raw.connect(running.url)
    await raw.send(b"GET /ping HTTP/1.0\r\n\r\n")
    assert status_of(await raw.rest()) == 200


async def test_trailers_become_no_headers_and_are_bounded(running: Running) -> None:
    chunked = POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    body = b'{"quantity":1,"name":"a"}'
    raw = await Raw.connect(running.url)
    await raw.send(chunked + b"%x\r\n%b\r\n0\r\nX-Late: y\r\n\r\n" % (len(body), body))
    assert status_of(await raw.rest()) == 200
    before = memory_mib(running.pid)
    for _ in range(10):
        raw = await Raw.connect(running.url)
        await raw.send(chunked + b"%x\r\n%b\r\n0\r\nX: " % (len(body), body) + b"x" * 4_000_000)
        assert status_of(await raw.rest()) in (400, 0)
    assert memory_mib(running.pid) - before < 16
