"""HTTP with Xendit, by aiohttp. Imported at the first call (ADR 30)."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Mapping
from os import environ
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from paymentfc.errors import GatewayUnavailable

TIMEOUT_S = 5.0
CALL_LIMIT_S = 10.0
MAX_CONNECTIONS = 32
# Shorter than any load balancer keeps an idle connection: a create on one that is being closed has an open result.
IDLE_S = 5.0
MAX_ANSWER = 1024 * 1024


class XenditHttp:
    """Sends requests on up to 32 connections, from the event loop that it was made in.

    A connection must be had within 5 s, and then data at least every 5 s; the whole call ends within 10 s. A GET whose
    connection is closed before the answer is sent once more by aiohttp, a POST never.
    """

    def __init__(self, base_url: str, secret_key: str) -> None:
        base = URL(base_url).with_user(None)
        key = b64encode(f"{secret_key}:".encode()).decode()
        self._base = str(base).rstrip("/")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=IDLE_S, ssl=_authorities()),
            # The connection includes the wait for one of the 32.
            timeout=aiohttp.ClientTimeout(total=None, connect=TIMEOUT_S, sock_read=TIMEOUT_S),
            # A compressed answer could be of any size.
            headers={"accept": "application/json", "accept-encoding": "identity", "authorization": f"Basic {key}"},
            # Else a request without a body, as to expire, would claim to have bytes.
            skip_auto_headers=("content-type",),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=_proxy(base),
        )

    async def send(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return status and body of the answer; `target` is quoted already. A redirect is an answer like any other.

        Raises ConnectionError, with the name of the cause, when there is none, and GatewayUnavailable when it is
        compressed or over 1 MiB.
        """
        url = URL(self._base + target, encoded=True)
        try:
            async with (
                asyncio.timeout(CALL_LIMIT_S),
                self._session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return answer.status, await _read(answer)
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionError(type(error).__name__) from error

    async def close(self) -> None:
        await self._session.close()


def _proxy(base: URL) -> URL | None:
    """Return the proxy that the environment names for Xendit."""
    proxies = getproxies()
    proxy = proxies.get(base.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(base.authority):
        return None
    return URL(proxy if "://" in proxy else f"http://{proxy}")


def _authorities() -> ssl.SSLContext | bool:
    """Return what a certificate is verified with: what the environment names, alone, or else the system's store."""
    file, folder = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    if not file and not folder:
        return True
    return ssl.create_default_context(cafile=file or None, capath=folder or None)


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise GatewayUnavailable("Xendit's answer is compressed")
    content = bytearray()
    async for chunk in answer.content.iter_any():
        content += chunk
        if len(content) > MAX_ANSWER:
            raise GatewayUnavailable(f"Xendit's answer is over {MAX_ANSWER} bytes")
    return bytes(content)
