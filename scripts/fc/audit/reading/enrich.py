"""Adds to a batch of dossiers what is looked up for many orders at once: applied events, users, places in Kafka."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from fc.audit.model import Dossier, Event, Invoice
from fc.audit.reading.queries import RECORDED, USERS
from fc.audit.reading.spill import Spill
from fc.audit.rules.rule import KAFKA, Context
from fc.platform.snapshot import Snapshot
from fc.platform.topics import CONSUMERS, event_identity

# The clocks of the databases and of Xendit may differ this much. An invoice older than that belongs to an order of the
# same number in databases that no longer exist.
CLOCK_TOLERANCE = timedelta(minutes=10)


class Enricher:
    """Fills the context with the batch's events and users, and marks the dossiers that have messages in flight."""

    def __init__(self, snapshot: Snapshot, spill: Spill, context: Context) -> None:
        self._snapshot = snapshot
        self._spill = spill
        self._context = context

    async def enrich(self, batch: Sequence[Dossier]) -> None:
        """Look everything up in few statements."""
        context = self._context
        events = [event for dossier in batch for event in dossier.events()]
        published: dict[str, dict[UUID, str]] = {}
        for event in events:
            for service in CONSUMERS.get(event.topic, ()) if event.published_at else ():
                published.setdefault(service, {})[event_identity(event.topic, event.event_id)] = str(event.event_id)
        ids = [event_identity(event.topic, event.event_id) for event in events]
        context.places = self._spill.places(ids)
        context.letters = self._spill.lettered(ids)
        context.reused = self._spill.reused([event.event_id for event in events])
        context.consumed = set()
        await asyncio.gather(
            *(self._consumed(service, ids_of) for service, ids_of in published.items()), self._users(batch)
        )
        await self._recorded(batch)
        for dossier in batch:
            dossier.in_flight = any(self._is_in_flight(event) for event in dossier.events())

    async def _consumed(self, service: str, events: dict[UUID, str]) -> None:
        self._context.consumed |= {(service, identity) for identity in await self._snapshot.applied(service, events)}

    async def _users(self, batch: Sequence[Dossier]) -> None:
        ids = {order.user_id for dossier in batch for order in dossier.orders}
        rows = await self._snapshot.fetch("userfc", USERS, list(ids)) if ids else []
        self._context.users = {row[0] for row in rows}

    async def _recorded(self, batch: Sequence[Dossier]) -> None:
        events = [event for dossier in batch for event in dossier.payment_events]
        parked = {event.event_id for event in events if event.parked_at and event.published_at is None}
        rows = await self._snapshot.fetch("paymentfc", RECORDED, list(parked)) if parked else []
        self._context.unrecorded = parked - {row[0] for row in rows}

    def _is_in_flight(self, event: Event) -> bool:
        """Whether a consumer has yet to read an event: it is not published, or published and not consumed."""
        if event.published_at is None:
            return True
        context, place = self._context, self._context.places.get(event_identity(event.topic, event.event_id))
        for service in CONSUMERS.get(event.topic, ()):
            pair = (service, event_identity(event.topic, event.event_id))
            if pair in context.consumed or pair in context.letters:
                continue
            if KAFKA not in context.read:
                if event.published_at > context.now - context.stuck:
                    return True
            elif place and context.committed.get((service, place.topic, place.partition), 0) <= place.offset:
                return True
        return False

    @staticmethod
    def is_of(invoice: Invoice, dossier: Dossier) -> bool:
        """Whether an invoice was made for this order, not for an earlier one of the same number.

        The one that its payment names is its own: while a stack's clock is moved, databases are ahead of the simulator.
        """
        is_named = any(payment.invoice_id == invoice.id for payment in dossier.payments)
        if is_named or invoice.created is None or not dossier.orders:
            return True
        return invoice.created >= dossier.orders[0].created_at - CLOCK_TOLERANCE
