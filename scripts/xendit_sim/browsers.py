"""Keeps web pages of other sites from driving the simulator: a browser names them in Host and Origin."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

READS = ("GET", "HEAD")


class OwnPagesOnly:
    """Answers 403 for a Host that is not the simulator's, and for a change that another origin asks for.

    The first keeps off a page whose name was pointed at this machine (DNS rebinding), the second every other page.
    Programs send no Origin.
    """

    def __init__(self, app: App, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (problem := self._problem(scope)):
            body = json.dumps({"detail": problem}).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        await self._app(scope, receive, send)

    def _problem(self, scope: Scope) -> str | None:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or _hostname(f"//{hosts[0]}") not in self._hosts:
            return "this host is not the simulator's: add it to XENDIT_SIM_HOSTS"
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        own = (f"http://{hosts[0]}", f"https://{hosts[0]}")
        if scope["method"] not in READS and any(origin.lower() not in map(str.lower, own) for origin in origins):
            return "another web page may not change anything here"
        return None


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
