"""Asks all sources about one order at the same time. One that does not answer is named, and the rest is shown."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from chassis import clock
from console.client.admin_api import AdminApi
from console.client.letter_box import LetterBox
from console.model.facts import PARTLY_READ, Facts, Record
from console.model.saga import CONSUMERS, PUBLISHERS, TOPIC_RETENTION
from console.usecase.source_errors import SourceErrors


class OrderRecords(Protocol):
    """Where the records about an order are read."""

    async def of_order(self, order_id: int, since: datetime) -> tuple[list[Record], bool]:
        """Return the records since a time of Kafka's clock, and whether all were read. Raises NoAnswer."""


async def gather_order(api: AdminApi, kafka: OrderRecords, order_id: int, letters: LetterBox | None = None) -> Facts:
    """Gather what the services and Kafka know of an order. Raises Refused when a service refuses the token.

    Without `letters` all dead letters count as not handled.
    """
    errors = SourceErrors()
    reading_dossier = asyncio.ensure_future(errors.read("paymentfc", api.dossier(order_id), None))
    reading_order = asyncio.ensure_future(errors.read("orderfc", api.order(order_id), None))
    reading_stock = errors.read("productfc", api.stock(order_id), [])
    outboxes = [errors.read(service, api.unsent(service, order_id), []) for service in PUBLISHERS]
    reading_records = _records(errors, kafka, order_id, reading_order, reading_dossier)
    stock, records, order, dossier, *unsent = await asyncio.gather(
        reading_stock, reading_records, reading_order, reading_dossier, *outboxes
    )
    applied, handled = await asyncio.gather(_applied(errors, api, records), _handled(errors, letters, records))
    return Facts(
        order_id,
        clock.now(),
        order,
        dossier,
        stock,
        [row for rows in unsent for row in rows],
        records,
        applied,
        errors.unread,
        handled,
        timedelta(seconds=clock.ahead_s()),
    )


async def _records(
    errors: SourceErrors,
    kafka: OrderRecords,
    order_id: int,
    reading_order: Awaitable[Any],
    reading_dossier: Awaitable[Any],
) -> list[Record]:
    order, payment = await reading_order, None
    if order is None and (dossier := await reading_dossier) is not None:
        payment = dossier["payment"]
    text = order["created_at"] if order else payment["create_time"] if payment else None
    # The time of an order that was placed before the clock was moved is as Kafka's: an earlier one only reads more.
    ahead = timedelta(seconds=clock.ahead_s())
    # If no source knows when the order was placed, all that is kept is looked through.
    since = datetime.fromisoformat(text) - ahead if text else datetime.now(UTC) - TOPIC_RETENTION
    records, all_read = await errors.read("kafka", kafka.of_order(order_id, since), ([], True))
    if not all_read:
        errors.unread["kafka"] = PARTLY_READ
    return records


async def _applied(errors: SourceErrors, api: AdminApi, records: list[Record]) -> dict[tuple[str, UUID], datetime]:
    identities: dict[str, set[UUID]] = defaultdict(set)
    for record in records:
        for consumer in CONSUMERS.get(record.topic, ()):
            identities[consumer].add(record.identity)
    none: dict[tuple[str, UUID], datetime] = {}
    answers = await asyncio.gather(
        *(
            errors.read(service, api.applied(service, sorted(theirs)), none)
            for service, theirs in identities.items()
            if service not in errors.unread
        )
    )
    return {key: time for answer in answers for key, time in answer.items()}


async def _handled(
    errors: SourceErrors, letters: LetterBox | None, records: list[Record]
) -> dict[tuple[str, str], str]:
    """Return what was done with the dead letters among the records, by topic and place."""
    dead = {(record.topic, record.place) for record in records if record.reason is not None}
    if not dead or letters is None:
        return {}
    topics = sorted({topic for topic, _ in dead})
    contents = await errors.read("kafka", letters.look(topics, handled=True), None)
    return {
        (item.letter.topic, item.letter.place): item.handled.action.value
        for item in (contents.items if contents else ())
        if item.handled is not None and (item.letter.topic, item.letter.place) in dead
    }
