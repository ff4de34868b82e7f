"""Request bodies: at most 1 MiB of JSON, without values that JSON or the databases do not have."""

import json
from typing import NoReturn

from fastapi import HTTPException
from starlette.types import Message, Receive

MAX_BODY_BYTES = 1024 * 1024
_SUSPICIOUS = (b"\\u", b"NaN", b"Infinity")


class TooLarge(Exception):
    """The body is over the limit."""


class Body:
    """The body of one request, read and checked as a whole.

    The size is checked before the handler runs. Content type and text are checked when the body is read, so that a
    handler can refuse the caller first.
    """

    def __init__(self, headers: dict[bytes, bytes], receive: Receive) -> None:
        self._receive = receive
        self._content_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        self._read: bytes | None = None
        self._gone: Message | None = None
        self._delivered = False
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > MAX_BODY_BYTES:
            raise TooLarge
        self.chunked = b"transfer-encoding" in headers

    async def read(self) -> bytes:
        """Read the whole body. Raises TooLarge as soon as the limit is passed."""
        if self._read is not None:
            return self._read
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                self._gone = message
                break
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > MAX_BODY_BYTES:
                raise TooLarge
            more = message.get("more_body", False)
        self._read = parts[0] if len(parts) == 1 else b"".join(parts)
        return self._read

    async def receive(self) -> Message:
        """The application's ASGI `receive`: the checked body in one message, then the server's messages."""
        if self._delivered:
            return await self._receive()
        body = await self.read()
        self._delivered = True
        if self._gone is not None:
            return self._gone
        if body:
            self._check(body)
        return {"type": "http.request", "body": body, "more_body": False}

    def _check(self, body: bytes) -> None:
        if self._content_type != b"application/json" and not (
            self._content_type.startswith(b"application/") and self._content_type.endswith(b"+json")
        ):
            raise HTTPException(415, "Content-Type must be application/json")
        if b"\x00" in body or not _is_utf8(body):
            raise HTTPException(400, "The body is not valid JSON: it must be UTF-8 and must not contain NUL bytes")
        if any(mark in body for mark in _SUSPICIOUS):
            _check_strictly(body)


def _is_utf8(body: bytes) -> bool:
    """Return whether a body is UTF-8. Python's JSON also reads UTF-16, UTF-32 and encoded surrogates."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _check_strictly(body: bytes) -> None:
    """Refuse values that Python's JSON accepts: NaN, infinities, NUL, half surrogate pairs. Other errors pass."""
    try:
        text = json.dumps(json.loads(body, parse_constant=_refuse_constant), ensure_ascii=False)
    except (ValueError, RecursionError):
        return
    if "\\u0000" in text.replace("\\\\", ""):
        raise HTTPException(400, "Text must not contain a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise HTTPException(400, "Text must not contain half of a surrogate pair") from None


def _refuse_constant(name: str) -> NoReturn:
    raise HTTPException(400, f"The body is not valid JSON: {name} is not a JSON value")
