"""Streams of live pages over real HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from console.handler.session import COOKIE

from .browser import Browser


@asynccontextmanager
async def stream(browser: Browser, path: str, **headers: str) -> AsyncIterator[AsyncIterator[str]]:
    """Open a stream over real HTTP. Yields its events, each as its lines."""
    headers["Cookie"] = f"{COOKIE}={browser.http.cookies[COOKIE]}"
    async with httpx2.AsyncClient(timeout=15) as http, http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _events(answer)


async def _events(answer: httpx2.Response) -> AsyncIterator[str]:
    lines: list[str] = []
    async for line in answer.aiter_lines():
        if line:
            lines.append(line)
        elif lines:
            yield "\n".join(lines)
            lines = []
