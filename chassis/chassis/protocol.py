"""What the HTTP server itself answers, before there is a request to serve: the one shape of errors too."""

import json

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from chassis.events import uuid7


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which answers what is no HTTP (a wrong Content-Length, an unknown method) with JSON."""

    def send_400_response(self, msg: str) -> None:
        """Refuse and close the connection: where the next request would begin can't be known."""
        request_id = uuid7().hex
        sentence = "The request is not valid HTTP"
        body = json.dumps(
            {"error": sentence, "code": "validation_failed", "request_id": request_id}, separators=(",", ":")
        ).encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        ]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[400] + lines + b"\r\n" + body)
        self.transport.close()
