"""One request and its answer, as uvicorn has them. An answer in one piece is checked and written in one piece."""

import asyncio
import urllib.parse
from functools import lru_cache
from typing import cast

import httptools
from uvicorn._types import ASGISendEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

# What the answers of this platform carry. Those with another field are left to uvicorn.
_FIELDS = {
    name: b"%b: " % name
    for name in (
        b"allow",
        b"cache-control",
        b"content-length",
        b"content-type",
        b"date",
        b"retry-after",
        b"www-authenticate",
        b"x-content-type-options",
        b"x-request-id",
    )
}
# No field may contain them; a tab may stand in one.
_CONTROLS = bytes({*range(0x20), 0x7F} - {0x09})
_END = b"\r\n"


class Cycle(RequestResponseCycle):
    """Writes what uvicorn would. The head waits for the first piece of the body, as ASGI demands."""

    _start: HTTPResponseStartEvent | None = None

    async def send(self, message: ASGISendEvent) -> None:
        """Take a message of the application."""
        if message["type"] == "http.response.start" and not self.response_started:
            self.response_started = True
            self.waiting_for_100_continue = False
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            if not self.flow.write_paused and not self.disconnected and (answer := self._whole(start, message)):
                self.transport.write(answer)
                self.response_complete = True
                self.message_event.set()
                self.on_response()
                return
            self.response_started = False
            await super().send(start)
        await super().send(message)

    def write_json(self, content: bytes, fields: bytes) -> bool:
        """Write a whole answer 200 with further `fields`, encoded. Returns False if `send` has to do it.

        `fields` is not checked: it must be of constants and of values that were checked.
        """
        beginning = _beginning(tuple(self.default_headers))
        if beginning is None or not self.keep_alive or self.scope["method"] == "HEAD":
            return False
        if self.response_started or self.disconnected or self.flow.write_paused:
            return False
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(b"%bcontent-length: %d\r\n%b\r\n%b" % (beginning, len(content), fields, content))
        self.message_event.set()
        self.on_response()
        return True

    def _whole(self, start: HTTPResponseStartEvent, message: ASGISendEvent) -> bytes | None:
        """Return the answer as it is written, or None if it comes in pieces or is malformed."""
        if message["type"] != "http.response.body" or not self.keep_alive or self.scope["method"] == "HEAD":
            return None
        if message.get("more_body"):
            return None
        body = message.get("body", b"")
        length, lengths = b"%d" % len(body), []
        head = STATUS_LINE[start["status"]]
        fields = [*self.default_headers, *start.get("headers", ())]
        for name, value in fields:
            if (beginning := _FIELDS.get(name)) is None:
                return None
            if name == b"content-length":
                lengths.append(value)
            head += beginning + value + _END
        controls = len(_END) * (len(fields) + 1)
        if lengths != [length] or len(head.translate(None, _CONTROLS)) + controls != len(head):
            return None
        return head + _END + body


@lru_cache(maxsize=4)
def _beginning(fields: tuple[tuple[bytes, bytes], ...]) -> bytes | None:
    """Return the head of each answer 200 with uvicorn's fields of this second, or None if uvicorn must see them."""
    if any(name not in _FIELDS for name, _ in fields):
        return None
    return STATUS_LINE[200] + b"".join(_FIELDS[name] + value + _END for name, value in fields)


class Requests(HttpToolsProtocol):
    """A connection of uvicorn that answers each of its requests with a `Cycle`."""

    def take_request(self, version: str) -> None:
        """Give a request to the application when its head is complete: at once, or after those before it."""
        scope, url = self.scope, httptools.parse_url(self.url)
        cast("dict[str, object]", scope)["app"] = self.config.app
        raw_path = url.path
        path = raw_path.decode("ascii")
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = urllib.parse.unquote(path) if "%" in path else path
        scope["raw_path"] = raw_path
        scope["query_string"] = url.query or b""
        before = self.cycle
        self.cycle = Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
