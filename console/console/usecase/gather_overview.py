"""Asks for what the first page shows: the rings of the metrics, and the newest orders."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol

from console.client.admin_api import AdminApi, Refused
from console.model.audits import AuditRun
from console.model.overview import Overview, card, sparks
from console.model.readings import Readings
from console.model.standing import Standing
from console.model.steps import Step
from console.model.tiles import Tile, anomalies_tile, audit_tile, letters_tile, outbox_tile, waiting_tile
from console.model.topology import SERVICES, topology
from console.model.unfinished import Unfinished
from console.model.waits import SETTLED_S, waits
from console.usecase.gather_unfinished import EventBacklog, Letters, gather_unfinished
from console.usecase.source_errors import SourceErrors

RECENT = 10
# The age at which the list of runs is read again: there is one run a day.
AUDITS_S = 10.0
# Between two questions about what is not finished; the page of the waits asks each time.
UNFINISHED_S = 5.0


class Watch(Protocol):
    """What the services show; `looked_at` is the moment of the last figures, in seconds since 1970."""

    looked_at: float

    def readings(self, service: str) -> Readings:
        """Return the figures of a service."""

    def standing(self, service: str) -> Standing:
        """Return the state of a service."""

    def count(self, service: str) -> int:
        """Return the number of its processes."""


class Audits(Protocol):
    """Where the runs of the auditor are read."""

    async def runs(self, max_age_s: float = 0.0) -> list[AuditRun]:
        """Return the newest runs, newest first, as they were read at most so long ago. Raises NoAnswer."""


class UnfinishedCache:
    """Keeps the last answer of `gather_unfinished`, which asks every service: it is shown while the next is made."""

    def __init__(self, backlog: EventBacklog, letters: Letters) -> None:
        self._backlog = backlog
        self._letters = letters
        self._first = asyncio.Lock()
        self._latest: Unfinished | None = None
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def latest(self, api: AdminApi) -> Unfinished:
        """Return the last answer, or wait for the first one. Raises Refused when a service refuses the token."""
        async with self._first:
            if self._latest is None:
                self._latest = await self._ask(api)
        if self._asking is None and time.monotonic() - self._asked_at >= UNFINISHED_S:
            self._asking = asyncio.create_task(self._ask_again(api))
        return self._latest

    async def _ask_again(self, api: AdminApi) -> None:
        try:
            # A session that has ended is noticed by the page's own questions.
            with suppress(Refused):
                self._latest = await self._ask(api)
        finally:
            self._asking = None

    async def _ask(self, api: AdminApi) -> Unfinished:
        try:
            return await gather_unfinished(api, self._backlog, self._letters)
        finally:
            self._asked_at = time.monotonic()


async def gather_overview(watch: Watch, api: AdminApi, audits: Audits, cache: UnfinishedCache) -> Overview:
    """Gather what the first page shows. Raises Refused when a service refuses the token."""
    errors = SourceErrors()
    orders, runs, unfinished = await asyncio.gather(
        errors.read("orderfc", _orders(api), []),
        errors.read("kafka", _runs(audits), None),
        cache.latest(api),
    )
    readings = {name: watch.readings(name) for name in SERVICES}
    standings = {name: watch.standing(name) for name in SERVICES}
    return Overview(
        topology(standings, readings),
        [card(name, standings[name], readings[name], watch.count(name)) for name in SERVICES],
        [
            _waiting(unfinished),
            letters_tile(
                None if "kafka" in unfinished.unread else [letter.topic for letter in unfinished.letters],
                unfinished.unread_letters,
            ),
            outbox_tile(readings),
            anomalies_tile(readings["paymentfc"]),
            audit_tile(runs, datetime.now(UTC)),
        ],
        sparks(readings, watch.looked_at),
        orders,
        unread=unfinished.unread | errors.unread,
    )


async def _runs(audits: Audits) -> list[AuditRun] | None:
    return await audits.runs(AUDITS_S)


async def _orders(api: AdminApi) -> list[dict[str, Any]]:
    found = await api.get("orderfc", "orders", limit=RECENT)
    return list(found["items"]) if found else []


def _waiting(unfinished: Unfinished) -> Tile:
    found = waits(unfinished, SETTLED_S)
    stuck = [(wait.step, wait.age_s) for wait in found if wait.step is not Step.CUSTOMER]
    return waiting_tile(stuck, len(found) - len(stuck), is_whole=unfinished.is_whole)
