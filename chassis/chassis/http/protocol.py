"""uvicorn's HTTP/1.1 protocol with bounds on the head, and on the time of head, body and answer."""

import re
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from chassis.http.connection import BODY, HEAD, IDLE, Connection
from chassis.http.load import REFUSED
from chassis.http.refusal import INVALID, LATE_BODY, LATE_HEAD, LONG_HEAD, LONG_LINE, NO_MEMORY

MAX_HEAD_BYTES = 32 * 1024
MAX_FIELDS = 100
MAX_REQUEST_LINE_BYTES = 8 * 1024
# Extensions of chunks and trailers: what arrives after the head and is no body.
MAX_BYTES_WITHOUT_BODY = 64 * 1024
MAX_PIPELINED = 16
HEAD_S = 10.0
BODY_S = 20.0
# Kestrel's rule for slow bodies.
GRACE_S = 5.0
MIN_BYTES_PER_S = 240
KEEP_ALIVE_S = 30.0
# How long a client may leave bytes of an answer unread.
ANSWER_S = 60.0

# If one of these headers is repeated, one reader takes the first and another the last.
_ONCE = frozenset({b"authorization", b"content-type", b"x-callback-token"})
_HOST = re.compile(rb"[!$%&'()*+,.0-9:;=A-Z\[\]_a-z~-]*")


class Timed(Connection):
    """A connection that is closed when its client takes too long. No request has a timer of its own."""

    _postponed: tuple[RequestResponseCycle, ASGI3Application] | None = None
    _body = 0
    _body_since = 0.0
    _unsent_since = 0.0

    def sweep(self, now: float) -> None:
        """Close the connection when its client has taken longer than it may. Called once a second."""
        self._sweep_answer(now)
        if self.transport.is_closing():
            return
        if self.phase == HEAD:
            if now - self.since > HEAD_S:
                self.refuse(LATE_HEAD)
        elif self.phase == BODY:
            self._sweep_body(now)
        elif self.is_waiting() and now - self.since > (KEEP_ALIVE_S if self.cycle else HEAD_S):
            self.transport.close()

    def _sweep_answer(self, now: float) -> None:
        if self.transport.get_write_buffer_size() == 0:
            self._unsent_since = 0.0
        elif not self._unsent_since:
            self._unsent_since = now
        elif now - self._unsent_since > ANSWER_S:
            REFUSED.labels("slow_reader").inc()
            self.abort()

    def _sweep_body(self, now: float) -> None:
        if self.flow.read_paused:
            # We do not read, so the client can't send.
            self._body_since, self._body = now, 0
        lasted = now - self._body_since
        if lasted > BODY_S or (lasted > GRACE_S and self._body < lasted * MIN_BYTES_PER_S):
            self.refuse(LATE_BODY)

    def on_response_complete(self) -> None:
        self._unsent_since = 0.0
        super().on_response_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Let the application answer, but not before the client has taken the answer before this one."""
        if self.flow.write_paused:
            self._postponed = (cycle, app)
            self.flow.pause_reading()
            return
        self._in_work = cycle
        super()._start_asgi_task(cycle, app)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.load.unsent(self, self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        self.load.sent(self)
        postponed, self._postponed = self._postponed, None
        if postponed is not None and not self.refused:
            self._start_asgi_task(*postponed)


class Protocol(Timed):
    """A connection whose messages are parsed within bounds."""

    _received = 0
    _begun = 0
    _hosts = 0
    _host = b""

    def data_received(self, data: bytes) -> None:
        """Parse in pieces of at most what a head may have left, and refuse a head that does not end within them."""
        while data and not self.refused:
            room = MAX_HEAD_BYTES - (self._received if self.phase == HEAD else 0)
            piece, data = (data, b"") if len(data) <= room else (data[:room], data[room:])
            before, self._begun = self.phase, 0
            self._parse(piece)
            self._count(len(piece), before)

    def _parse(self, data: bytes) -> None:
        """Parse as if no client offered another protocol.

        Behind such a head the parser reads no body, and takes what follows for the other protocol, and later bytes for
        the next request. So the head is parsed a second time without the offer.
        """
        rest = data
        while rest and not self.refused:
            try:
                self.parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as offer:
                rest = self._head_without_offer() + rest[offer.args[0] :]
                self.parser = _new_parser(self)
            except httptools.HttpParserError:
                self.refuse(self._refusal)

    def _head_without_offer(self) -> bytes:
        line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        fields = (b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade")
        return b"".join([line, *fields, b"\r\n"])

    def _count(self, size: int, before: int) -> None:
        if self.refused:
            return
        if self.phase == HEAD:
            # A head that begins inside a piece is counted by its complete fields.
            whole = before == HEAD or (before == IDLE and self._begun == 1)
            fields = 0 if whole else sum(len(name) + len(value) for name, value in self.headers)
            self._received = self._received + size if whole else len(self.url) + fields
            if self._received >= MAX_HEAD_BYTES:
                self.refuse(LONG_HEAD)
        elif self.phase == BODY:
            self._received += size
            self._body_since = self._body_since or self.loop.time()
            if self._received > MAX_BYTES_WITHOUT_BODY:
                self.refuse(INVALID)

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError
        super().on_message_begin()
        self.since = self.loop.time()
        self.phase = HEAD
        self._begun += 1
        self._received = self._hosts = self._body = 0
        self._body_since = 0.0

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > MAX_REQUEST_LINE_BYTES:
            self._refusal = LONG_LINE
            raise ValueError

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.phase == BODY:
            # Trailers. uvicorn would add them to the headers.
            return
        name = name.lower()
        if name == b"host":
            self._hosts += 1
            if value != self._host and not _HOST.fullmatch(value):
                raise ValueError
            self._host = value
        elif name in _ONCE and any(given == name for given, _ in self.headers):
            raise ValueError
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError
            return
        version = self.parser.get_http_version()
        if not (self._hosts == 1 and version == "1.1" or self._hosts <= 1 and version == "1.0") or self.url[:1] != b"/":
            raise ValueError
        if b"%2" in self.url and b"%2f" in self.url.partition(b"?")[0].lower():
            # A proxy that tells prefixes apart may not decode it, and would take one address for another.
            raise ValueError
        if len(self.headers) > MAX_FIELDS:
            self._refusal = LONG_HEAD
            raise ValueError
        self.phase, self._received = BODY, 0
        self.take_request(version)

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        self._received = 0
        if self.cycle.response_complete:
            return
        self._held[self.cycle] += len(body)
        if not self.load.hold_body(len(body)):
            self._refusal = NO_MEMORY
            raise ValueError
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self.phase = IDLE


def _new_parser(protocol: object) -> Any:
    """Make a parser as uvicorn does. One whose head asked for the end of the connection takes nothing more."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
