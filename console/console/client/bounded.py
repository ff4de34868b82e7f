"""Answers of stores that others run, read within bounds."""

import asyncio
from typing import Any

import httpx2

from console.client.admin_api import NoAnswer

# The most time that an answer may take as a whole. A timeout of the library begins anew with each part of it.
TIMEOUT_S = 2.0
MAX_BYTES = 5 * 1024 * 1024


async def read(http: httpx2.AsyncClient, method: str, url: str, **sent: Any) -> tuple[int, bytes]:
    """Return status and body of an answer; for another status than 200 no body. Raises NoAnswer."""
    body = bytearray()
    try:
        async with asyncio.timeout(TIMEOUT_S), http.stream(method, url, timeout=TIMEOUT_S, **sent) as answer:
            if answer.status_code != 200:
                return answer.status_code, b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MAX_BYTES:
                    raise NoAnswer(f"its answer has more than {MAX_BYTES:,} bytes")
    except (httpx2.TimeoutException, TimeoutError):
        raise NoAnswer(f"no answer in {TIMEOUT_S:g} s") from None
    except httpx2.HTTPError as error:
        raise NoAnswer(type(error).__name__) from None
    return 200, bytes(body)
