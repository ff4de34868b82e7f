"""A connection of uvicorn within the bounds of its process. Refusals, too, are sent in the order of the requests."""

from asyncio import BaseTransport, Transport
from collections import Counter
from typing import cast

from fastapi import FastAPI
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from chassis.http.address import peer_address
from chassis.http.cycle import Requests
from chassis.http.load import REFUSED, Load
from chassis.http.refusal import INVALID, OVERLOADED, REFUSED_STATUS, Refusal

IDLE, HEAD, BODY = range(3)


class Connection(Requests):
    """The connection's place among the others, its refusals, and the order of its answers.

    `phase` is that of the message that is being received; `since` is when it began, or when the connection fell idle.
    """

    load: Load
    address = ""
    since = 0.0
    phase = IDLE
    refused = False
    _refusal = INVALID
    _last_words = b""
    _in_work: RequestResponseCycle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast("Transport", transport))
        app = cast("FastAPI", self.config.app)
        self.load = app.state.load
        # Skips FastAPI itself, which would only put itself into the scope.
        self.app = cast("ASGI3Application", app.middleware_stack)
        # The bytes of bodies that each request on this connection holds.
        self._held: Counter[RequestResponseCycle] = Counter()
        self.since = self.loop.time()
        self.address = peer_address(self.client[0] if self.client else "")
        if not self.load.connect(self):
            self.refuse(OVERLOADED)

    def connection_lost(self, exc: Exception | None) -> None:
        self.load.disconnect(self)
        for cycle in list(self._held):
            self._give_back(cycle)
        self._forget()
        super().connection_lost(exc)

    def _forget(self) -> None:
        """Tell the request in work that its client is gone. uvicorn tells the last one that has arrived."""
        if self._in_work is not None:
            self._in_work.disconnected = True
            self._in_work.message_event.set()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio: true keeps the connection open
        """Stay open for the remaining answers if the client has closed its side."""
        return bool(self._last_words)

    def on_response_complete(self) -> None:
        """Start the next request, if it is here already. uvicorn would also start a timer for an idle connection."""
        self.server_state.total_requests += 1
        if self.phase == IDLE:
            self.since = self.loop.time()
        if self._held and self._in_work is not None:
            self._give_back(self._in_work)
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._last_words:
            self._close(self._last_words)

    def _give_back(self, cycle: RequestResponseCycle) -> None:
        self.load.hold_body(-self._held.pop(cycle, 0))

    def send_400_response(self, _msg: str) -> None:
        """Refuse what the parser has refused: the start of the next request is unknown."""
        self.refuse(self._refusal)

    def refuse(self, refusal: Refusal) -> None:
        """Answer in the one shape of errors, after the answers to earlier requests, and close the connection."""
        self.refused = True
        if refusal.overloads:
            self.load.refused(refusal.reason)
        else:
            REFUSED.labels(refusal.reason).inc()
        cycle: RequestResponseCycle | None = self.cycle
        if self.phase == BODY and cycle is not None:
            self._end(cycle, refusal)
        elif cycle is not None and not cycle.response_complete:
            self._last_words = self._answer(refusal)
        else:
            self._close(self._answer(refusal))

    def _end(self, cycle: RequestResponseCycle, refusal: Refusal) -> None:
        """Refuse a request that was given to the application before its body was complete."""
        queued: tuple[RequestResponseCycle, ASGI3Application] | None = self.pipeline[0] if self.pipeline else None
        if queued is not None and queued[0] is cycle:
            self.pipeline.popleft()
            self._last_words = self._answer(refusal)
            return
        self._close(b"" if cycle.response_started else self._answer(refusal))
        cast("dict[str, object]", cycle.scope)[REFUSED_STATUS] = refusal.status
        cycle.disconnected = True
        cycle.message_event.set()

    def _answer(self, refusal: Refusal) -> bytes:
        return refusal.answer(self.server_state.default_headers)

    def _close(self, answer: bytes) -> None:
        if answer:
            self.transport.write(answer)
        self.transport.close()

    def is_waiting(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        if self.transport.is_closing():
            return False
        return self.phase != IDLE or cycle is None or cycle.response_complete

    def evict(self) -> None:
        if self.phase == IDLE:
            self.transport.close()
        else:
            self.refuse(OVERLOADED)

    def abort(self) -> None:
        self._forget()
        self.transport.abort()
