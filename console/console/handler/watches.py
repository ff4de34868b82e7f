"""The pages that are open now: each is asked for once for all its viewers, and not at all without viewers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from chassis.loops import wait_any

log = structlog.get_logger(__name__)

INTERVAL_S = 2.0
# After news of an event: its consumers apply it a moment later.
SOON_S = (0.15, 0.6)
# The shortest time between two calls for one page, however often it is woken.
SHORTEST_S = 0.1
MAX_VIEWERS = 64
# The addresses of the pages of single orders begin so.
ORDERS = "/orders/"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a page shows now: the text of its changing part, and a sentence for who can't see it."""

    text: str
    says: str = ""


class Gone(Exception):
    """A page can't be shown to this viewer any more: the session has ended, or there is nothing to show."""


@dataclass(eq=False)
class Viewer:
    """A viewer of a page. `look` asks for it with the rights of that person and raises Gone; `news` is set."""

    look: Callable[[], Awaitable[Seen]]
    news: asyncio.Event = field(default_factory=asyncio.Event)
    seen: Seen | None = None
    is_gone: bool = False


class Watches:
    """The open pages. A part of the process: when the process stops, all streams end at once."""

    name = "live"

    def __init__(self) -> None:
        self.stopping = False
        # Set while the page of an order is open: only those pages need news of events.
        self.orders = asyncio.Event()
        self._taken = 0
        self._watches: dict[str, _Watch] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """End all streams when the process is to stop."""
        await stop.wait()
        self.stopping = True
        for watch in list(self._watches.values()):
            watch.tell()

    def take_place(self) -> bool:
        """Take a place for a stream. Returns False if all are taken."""
        if self._taken >= MAX_VIEWERS or self.stopping:
            return False
        self._taken += 1
        return True

    def leave_place(self) -> None:
        self._taken -= 1

    def join(self, address: str, viewer: Viewer) -> None:
        """Add a viewer of an address; the first one starts the calls for its page."""
        watch = self._watches.get(address)
        if watch is None:
            watch = self._watches[address] = _Watch(address)
            self._note()
        watch.join(viewer)

    async def leave(self, address: str, viewer: Viewer) -> None:
        """Remove a viewer; the last one ends the calls."""
        watch = self._watches[address]
        if watch.leave(viewer):
            del self._watches[address]
            self._note()
            await watch.close()

    def wake(self, address: str, *, again: Sequence[float] = ()) -> None:
        """Have an open page asked for at once, and again after so many seconds."""
        if watch := self._watches.get(address):
            watch.soon = list(again)
            watch.wake.set()

    def news(self, key: str) -> None:
        """Take the key of an event, such as `order-42`, as news of that order."""
        self.wake(f"{ORDERS}{key.removeprefix('order-')}", again=SOON_S)

    def _note(self) -> None:
        if any(address.startswith(ORDERS) for address in self._watches):
            self.orders.set()
        else:
            self.orders.clear()

    @property
    def addresses(self) -> frozenset[str]:
        """The addresses of the open pages."""
        return frozenset(self._watches)


class _Watch:
    """Asks for one page, with the rights of the viewer who came last, and tells all viewers."""

    def __init__(self, address: str) -> None:
        self.wake = asyncio.Event()
        self.soon: list[float] = []
        self._address = address
        self._viewers: list[Viewer] = []
        self._task = asyncio.create_task(self._run(), name=f"live {address}")

    def join(self, viewer: Viewer) -> None:
        self._viewers.append(viewer)
        self.wake.set()

    def leave(self, viewer: Viewer) -> bool:
        """Remove a viewer; return whether none is left."""
        with suppress(ValueError):
            self._viewers.remove(viewer)
        return not self._viewers

    def tell(self, seen: Seen | None = None) -> None:
        for viewer in self._viewers:
            viewer.seen = seen or viewer.seen
            viewer.news.set()

    async def close(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            self.wake.clear()
            begun = time.monotonic()
            await self._ask()
            await asyncio.sleep(max(0.0, SHORTEST_S - (time.monotonic() - begun)))
            if not self.wake.is_set():
                await wait_any(self.soon.pop(0) if self.soon else INTERVAL_S, self.wake)

    async def _ask(self) -> None:
        viewer = next((viewer for viewer in reversed(self._viewers) if not viewer.is_gone), None)
        if viewer is None:
            return
        try:
            self.tell(await viewer.look())
        except Gone:
            viewer.is_gone = True
            viewer.news.set()
            self.wake.set()
        except Exception as error:
            # A defect of one page must not end the process; the page itself shows it when it is loaded again.
            log.error("a live page failed", address=self._address, exc_info=error)
