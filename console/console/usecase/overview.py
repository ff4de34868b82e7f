"""Asks for what the first page shows: the rings of the metrics, and the newest orders."""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from console.client.admin_api import AdminApi, NoAnswer
from console.model.audits import AuditRun
from console.model.overview import Overview, card, sparks
from console.model.readings import Readings
from console.model.standing import Standing
from console.model.tiles import anomalies_tile, audit_tile, letters_tile, outbox_tile
from console.model.topology import SERVICES, topology

T = TypeVar("T")

RECENT = 10
# There is one run in a day.
AUDITS_S = 10.0


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


class Letter(Protocol):
    """A dead letter."""

    @property
    def topic(self) -> str:
        """The topic that its message came from."""


class Listed(Protocol):
    """A dead letter in the list of those that nobody has handled."""

    @property
    def letter(self) -> Letter:
        """What failed."""


class Contents(Protocol):
    """The letters that were read."""

    @property
    def items(self) -> Sequence[Listed]:
        """Those that nobody has handled."""


class Letters(Protocol):
    """Where the dead letters are read."""

    async def look(self) -> Contents:
        """Read the letters that nobody has handled. Raises NoAnswer."""


async def overview(watch: Watch, api: AdminApi, audits: Audits, letters: Letters) -> Overview:
    """Gather what the first page shows. Raises Refused when a service refuses the token."""
    unread: dict[str, str] = {}
    orders, runs, topics = await asyncio.gather(
        _asked("orderfc", _orders(api), [], unread),
        _asked("kafka", _runs(audits), None, unread),
        _asked("kafka", _topics(letters), None, unread),
    )
    readings = {name: watch.readings(name) for name in SERVICES}
    standings = {name: watch.standing(name) for name in SERVICES}
    return Overview(
        topology(standings, readings),
        [card(name, standings[name], readings[name], watch.count(name)) for name in SERVICES],
        [
            outbox_tile(readings),
            letters_tile(topics),
            anomalies_tile(readings["paymentfc"], None),
            audit_tile(runs, datetime.now(UTC)),
        ],
        sparks(readings, watch.looked_at),
        orders,
        unread=unread,
    )


async def _asked(name: str, answer: Awaitable[T], otherwise: T, unread: dict[str, str]) -> T:
    try:
        return await answer
    except NoAnswer as error:
        unread.setdefault(name, str(error))
        return otherwise


async def _runs(audits: Audits) -> list[AuditRun] | None:
    return await audits.runs(AUDITS_S)


async def _topics(letters: Letters) -> list[str] | None:
    return [each.letter.topic for each in (await letters.look()).items]


async def _orders(api: AdminApi) -> list[dict[str, Any]]:
    found = await api.get("orderfc", "orders", limit=RECENT)
    return list(found["items"]) if found else []
