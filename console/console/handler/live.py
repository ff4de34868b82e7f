"""Pages that change while they are looked at: `/live/<page>` is a stream of the changing part of a page.

A page needs no code for that; see docs/console-internals.md.
"""

import asyncio
import inspect
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from html import escape
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from chassis.auth.tokens import Principal
from chassis.errors import AppError
from console.handler import rendering
from console.handler.session import browser_of, form_token, person
from console.handler.visit import LIVE, NotSignedIn, Visit
from console.handler.watches import Gone, Seen, Viewer, Watches

Page = Callable[..., Awaitable[Response]]
P = TypeVar("P", bound=Page)

# A screen reader is told at most one sentence in this time.
SENTENCE_S = 5.0
RETRY_S = "5"
# Stands for the form token, which differs by viewer. No text from outside can contain it.
_FORM = secrets.token_hex(32)
# The name of the last event of a stream whose page has nothing more to show: the browser then does not ask again.
ENDED = "ended"
_ENDED = ServerSentEvent(event=ENDED, raw_data=ENDED)
# A page sends for whom it was made: another person may have logged in meanwhile, in another tab.
PERSON = "page-person"
# After a service has refused a token, the console refuses it within this time, too.
REFUSED_S = 5.0


def page(router: APIRouter, path: str) -> Callable[[P], P]:
    """Serve a page at `path`, and its changing part as a stream under `/live`.

    The function takes `visit: Visitor` and what else it needs, and answers with `visit.page(..., part="parts/x.html")`.
    Its template has `{% include "live.html" %}` where the part belongs.
    """

    def add(function: P) -> P:
        router.get(path)(function)
        places = [Depends(_place)]
        router.get(LIVE + path, response_class=EventSourceResponse, dependencies=places)(_stream(function))
        return function

    return add


class _Look(Visit):
    """A visit that is made again and again, for all viewers: it makes the changing part of the page only."""

    seen: Seen | None = None
    is_refused = False

    def page(self, name: str, status: int = 200, part: str = "", **values: object) -> HTMLResponse:  # noqa: ARG002
        self.seen = None
        if part and status == 200:
            self.seen = Seen(rendering.text(part, form=_FORM, **values), str(values.get("says", "")))
        return HTMLResponse(status_code=status)


def _stream(function: Page) -> Callable[..., AsyncIterator[ServerSentEvent]]:
    async def stream(visit: Visit, **given: Any) -> AsyncIterator[ServerSentEvent]:
        request = visit.request
        watches: Watches = visit.state.live
        look = _Look(request, visit.who)
        if request.headers.get(PERSON) not in (None, str(visit.who.user_id)):
            yield _ENDED
            return

        async def ask() -> Seen:
            try:
                await function(visit=look, **given)
            except (AppError, HTTPException) as error:
                look.is_refused = isinstance(error, NotSignedIn)
                raise Gone from error
            if look.seen is None:
                raise Gone
            return look.seen

        viewer = Viewer(ask)
        watches.join(visit.address, viewer)
        try:
            async for event in _events(look, viewer, watches):
                yield event
        finally:
            await watches.leave(visit.address, viewer)

    # FastAPI reads the parameters of a page from here, and so checks them for the stream as it does for the page.
    stream.__signature__ = inspect.signature(function).replace(  # type: ignore[attr-defined]
        return_annotation=AsyncIterator[ServerSentEvent]
    )
    return stream


async def _events(look: _Look, viewer: Viewer, watches: Watches) -> AsyncIterator[ServerSentEvent]:
    """Yield the part as often as it changes, until the process stops, the session ends, or the page is gone.

    A stream whose session has ended just ends. The browser comes back with the cookie that it has by then: after a
    renewal, or a log-in in another tab, the page goes on; else `visit` answers 401.
    """
    request = look.request
    shown, _, told = request.headers.get("last-event-id", "").partition("-")
    said = _Sentences(told)
    while True:
        await viewer.news.wait()
        viewer.news.clear()
        who = await _who(look, viewer, watches)
        if who is None:
            return
        if viewer.is_gone:
            yield _ENDED
            return
        if viewer.seen is None:
            continue
        text = viewer.seen.text.replace(_FORM, form_token(request, browser_of(request), who.user_id))
        sentence, digest = said.next(viewer.seen.says), _digest(text)
        if digest != shown or sentence:
            shown = digest
            yield ServerSentEvent(raw_data=text + sentence, id=f"{digest}-{said.told}")


async def _who(look: _Look, viewer: Viewer, watches: Watches) -> Principal | None:
    """Return who looks on; None when the process stops, or the session has ended.

    A token that a service refuses has probably been revoked. If it is accepted here after REFUSED_S, the session has
    not ended, and to come back with the same cookie would be in vain.
    """
    if look.is_refused and not watches.stopping and await person(look.request) is not None:
        await _until_stopped(viewer, watches, REFUSED_S)
    return None if watches.stopping else await person(look.request)


async def _until_stopped(viewer: Viewer, watches: Watches, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not watches.stopping:
                await viewer.news.wait()
                viewer.news.clear()


class _Sentences:
    """What one viewer is told: each new sentence, but not the one that the page began with.

    `told` stands for the last one. A viewer who comes back brings it along, and may have been told it just now.
    """

    def __init__(self, told: str) -> None:
        self.told = told
        self._told_at = time.monotonic() if told else 0.0

    def next(self, says: str) -> str:
        """Return the element that says the sentence, or nothing."""
        now, new = time.monotonic(), _digest(says)
        self.told = self.told or new
        if new == self.told or now - self._told_at < SENTENCE_S:
            return ""
        self.told, self._told_at = new, now
        return f'<hx-partial hx-target="#said" hx-swap="textContent">{escape(says)}</hx-partial>'


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


async def _place(request: Request) -> AsyncIterator[None]:
    """Hold one of the places for streams. Raises HTTPException 503 when all are taken."""
    watches: Watches = request.app.state.live
    if not watches.take_place():
        raise HTTPException(503, "Too many pages are live", {"Retry-After": RETRY_S})
    try:
        yield
    finally:
        watches.leave_place()
