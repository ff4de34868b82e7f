"""Request bodies: read as a whole within the limit of their route, without holding a slot while they arrive."""

from fastapi import HTTPException
from starlette.types import Message, Receive, Scope

from chassis.http.load import Slot
from chassis.http.refusal import REFUSED_STATUS

KIB = 1024
# No route may allow more.
MAX_BODY_BYTES = 1024 * KIB
DEFAULT_MAX_BODY_BYTES = 64 * KIB
# The body of a request that has one, in its scope.
BODY = "chassis.body"
FORM = b"application/x-www-form-urlencoded"
PROTOBUF = b"application/x-protobuf"


CLIENT_GONE = 499


def too_large(limit: int) -> HTTPException:
    size = f"{limit // MAX_BODY_BYTES} MiB" if limit >= MAX_BODY_BYTES else f"{limit // KIB} KiB"
    return HTTPException(413, f"The body is larger than {size}")


def announced(headers: dict[bytes, bytes]) -> bool:
    """Return whether a request has a body."""
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


class Body:
    """The body of one request.

    The route sets its limit before anything is read. Content type and coding are checked when the body is delivered, so
    that a handler can refuse the caller first.
    """

    # The content type that its route takes; JSON in all its kinds where none is named.
    wanted = b""

    def __init__(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, slot: Slot) -> None:
        self._scope = scope
        self._receive = receive
        self._slot = slot
        self._content_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        self._coding = headers.get(b"content-encoding", b"identity").strip().lower()
        self._length = int(headers.get(b"content-length", b"0"))
        self._limit = MAX_BODY_BYTES
        self._read: bytes | None = None
        self._delivered = False
        self.chunked = b"transfer-encoding" in headers

    @property
    def fits(self) -> bool:
        """Whether the announced length is within what any route may allow."""
        return self._length <= MAX_BODY_BYTES

    async def limit(self, size: int) -> None:
        """Bound the body. Raises the refusal 413, for a body without a length after reading up to the bound."""
        self._limit = size
        if self._length > size:
            raise too_large(size)
        if self.chunked:
            await self.read()

    async def read(self) -> bytes:
        """Read the whole body. Its slot is free for others meanwhile.

        Raises HTTPException: 413 as soon as the limit is passed, 408 or 499 when the connection ended before the body
        was complete, 503 when no slot is free for a body that is there.
        """
        if self._read is not None:
            return self._read
        self._slot.release()
        parts = await self._parts()
        if not self._slot.take():
            raise HTTPException(503, "The service is overloaded", {"Retry-After": "1"})
        self._read = parts[0] if len(parts) == 1 else b"".join(parts)
        return self._read

    async def _parts(self) -> list[bytes]:
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                raise HTTPException(self._scope.get(REFUSED_STATUS, CLIENT_GONE))
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._limit:
                raise too_large(self._limit)
            more = message.get("more_body", False)
        return parts

    async def receive(self) -> Message:
        """The application's ASGI `receive`: the checked body in one message, then the server's messages."""
        if self._delivered:
            return await self._receive()
        body = await self.read()
        self._delivered = True
        if body and not (self._content_type == self.wanted if self.wanted else self._is_json()):
            raise HTTPException(415, f"Content-Type must be {self.wanted.decode() or 'application/json'}")
        if body and self._coding != b"identity":
            raise HTTPException(415, "The body must not be compressed", {"Accept-Encoding": "identity"})
        return {"type": "http.request", "body": body, "more_body": False}

    def _is_json(self) -> bool:
        kind = self._content_type
        return kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))


def body_of(scope: Scope) -> Body | None:
    """Return the body of a request that has one."""
    body: Body | None = scope.get(BODY)
    return body
