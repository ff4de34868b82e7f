"""Answers that a connection gets without the application, in the one shape of errors; then it is closed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from chassis.ids import request_id

SECURITY_HEADER = (b"x-content-type-options", b"nosniff")
NO_STORE_HEADER = (b"cache-control", b"no-store")
# Put into a request's scope when its connection was refused while the body was awaited: the status.
REFUSED_STATUS = "chassis.refused_status"


@dataclass(frozen=True)
class Refusal:
    """The reason is a label of `gocommerce_http_refused_total`."""

    reason: str
    status: int
    code: str
    sentence: str

    @property
    def overloads(self) -> bool:
        """Whether the process refuses because it can take no more."""
        return self.status == HTTPStatus.SERVICE_UNAVAILABLE

    def answer(self, default_headers: Sequence[tuple[bytes, bytes]]) -> bytes:
        number = request_id()
        shown = {"error": self.sentence, "code": self.code, "request_id": number}
        body = json.dumps(shown, separators=(",", ":")).encode()
        headers = [
            *default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", number.encode()),
            SECURITY_HEADER,
            NO_STORE_HEADER,
            (b"connection", b"close"),
        ]
        if self.overloads:
            headers.append((b"retry-after", b"1"))
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        return STATUS_LINE[self.status] + lines + b"\r\n" + body


INVALID = Refusal("invalid", 400, "validation_failed", "The request is not valid HTTP")
LONG_LINE = Refusal("head_too_large", 431, "head_too_large", "The request line is longer than 8 KiB")
LONG_HEAD = Refusal("head_too_large", 431, "head_too_large", "The headers are over 32 KiB or 100 fields")
LATE_HEAD = Refusal("head_late", 408, "request_timeout", "The headers did not arrive within 10 s")
LATE_BODY = Refusal("body_late", 408, "request_timeout", "The body did not arrive in time")
OVERLOADED = Refusal("connections", 503, "unavailable", "The service is overloaded")
NO_MEMORY = Refusal("body_bytes", 503, "unavailable", "The service is overloaded")
