"""Asks all sources about one order at the same time. One that is away leaves a note, and the rest is shown."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from chassis.clock import now
from console.client.admin_api import AdminApi, NoAnswer
from console.model.facts import Facts, Record
from console.model.saga import CONSUMERS, PUBLISHERS

T = TypeVar("T")

# Where nobody says when the order was placed, its records are looked for since then.
KEPT = timedelta(days=7)


class EventLog(Protocol):
    """Where the records about an order are read."""

    async def of_order(self, order_id: int, since: datetime) -> list[Record]:
        """Read the records about an order since it was placed. Raises NoAnswer."""


async def order_timeline(api: AdminApi, log: EventLog, order_id: int) -> Facts:
    """Gather what the services and Kafka know of an order. Raises Refused when a service refuses the token."""
    asked = _Asked()
    dossier = asyncio.ensure_future(asked.of("paymentfc", api.dossier(order_id), None))
    order = asyncio.ensure_future(asked.of("orderfc", api.order(order_id), None))
    stock = asked.of("productfc", api.stock(order_id), [])
    outboxes = [asked.of(service, api.unsent(service, order_id), []) for service in PUBLISHERS]
    records = _records(asked, log, order_id, order, dossier)
    held, found, known, paid, *unsent = await asyncio.gather(stock, records, order, dossier, *outboxes)
    applied = await _applied(asked, api, found)
    return Facts(
        order_id,
        now(),
        known,
        paid,
        held,
        [row for rows in unsent for row in rows],
        found,
        applied,
        asked.unread,
    )


class _Asked:
    """The sources that did not answer; each is asked on, and named once."""

    def __init__(self) -> None:
        self.unread: dict[str, str] = {}

    async def of(self, name: str, answer: Awaitable[T], otherwise: T) -> T:
        try:
            return await answer
        except NoAnswer as error:
            self.unread[name] = str(error)
            return otherwise


async def _records(
    asked: _Asked, log: EventLog, order_id: int, order: Awaitable[Any], dossier: Awaitable[Any]
) -> list[Record]:
    known, payment = await order, None
    if known is None and (answer := await dossier) is not None:
        payment = answer["payment"]
    text = known["created_at"] if known else payment["create_time"] if payment else None
    since = datetime.fromisoformat(text) if text else now() - KEPT
    return await asked.of("kafka", log.of_order(order_id, since), [])


async def _applied(asked: _Asked, api: AdminApi, records: list[Record]) -> dict[tuple[str, UUID], datetime]:
    identities: dict[str, set[UUID]] = defaultdict(set)
    for record in records:
        for consumer in CONSUMERS.get(record.topic, ()):
            identities[consumer].add(record.identity)
    none: dict[tuple[str, UUID], datetime] = {}
    answers = await asyncio.gather(
        *(
            asked.of(service, api.applied(service, sorted(theirs)), none)
            for service, theirs in identities.items()
            if service not in asked.unread
        )
    )
    return {key: time for answer in answers for key, time in answer.items()}
