"""Asks all sources what is not finished: open orders and payments, events on their way, dead letters."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from chassis import clock
from console.client.admin_api import AdminApi
from console.client.backlog import Behind
from console.model.order_waits import payment_row
from console.model.saga import CONSUMERS, PUBLISHERS
from console.model.unfinished import DeadLetter, Unfinished, timed
from console.usecase.source_errors import SourceErrors

# Pages of 100 rows, of each list.
ORDER_PAGES = 3
PAYMENT_PAGES = 2
OUTBOX_PAGES = 2
MAX_ITEMS = 100
# The most open orders that are looked up at paymentfc, because no other source names them.
MAX_LOOKED_UP = 20
# A younger order is still being processed.
_SETTLED_AFTER = timedelta(seconds=2)
_STEPS = ("invoice", "customer", "expiry")
_NO_PAGES: tuple[list[Any], bool] = ([], False)


class Listed(Protocol):
    """A dead letter that is not handled, as it is listed."""

    @property
    def letter(self) -> "IdentifiedLetter":
        """What failed, and why."""


class IdentifiedLetter(DeadLetter, Protocol):
    """A dead letter whose event can be looked for in an inbox."""

    @property
    def identity(self) -> UUID:
        """Its id in the inboxes of consumers."""


class Contents(Protocol):
    """The letters that were read, and how many were not."""

    @property
    def items(self) -> Sequence[Listed]:
        """The letters, oldest first."""

    @property
    def unread(self) -> int:
        """The number of letters that were not read."""


class EventBacklog(Protocol):
    """Where the events are read that consumers have not committed."""

    async def read(self) -> Behind:
        """Raises NoAnswer."""


class Letters(Protocol):
    """Where the dead letters are read."""

    async def look(self) -> Contents:
        """Read the letters that are not handled. Raises NoAnswer."""


@dataclass(slots=True)
class _Gathering:
    """What the steps of one gathering share. `cut` says what was not read to its end."""

    api: AdminApi
    now: datetime = field(default_factory=clock.now)
    ahead: timedelta = field(default_factory=lambda: timedelta(seconds=clock.ahead_s()))
    errors: SourceErrors = field(default_factory=SourceErrors)
    cut: list[str] = field(default_factory=list)

    async def pages(self, what: str, service: str, path: str, place: str, most: int, **query: Any) -> list[Any]:
        items, more = await self.errors.read(service, self.api.pages(service, path, place, most, **query), _NO_PAGES)
        if more:
            self.cut.append(f"{what}: only the first {len(items)} were read")
        return items

    async def applied(self, wanted: Mapping[str, Iterable[UUID]]) -> set[tuple[str, UUID]]:
        """Return which events their consumers have applied; of a consumer that is away, none."""
        nothing: dict[tuple[str, UUID], datetime] = {}
        answers = await asyncio.gather(
            *(
                self.errors.read(service, self.api.applied(service, sorted(set(theirs))), nothing)
                for service, theirs in wanted.items()
                if service not in self.errors.unread
            )
        )
        return {key for answer in answers for key in answer}


async def gather_unfinished(api: AdminApi, backlog: EventBacklog, letters: Letters) -> Unfinished:
    """Gather what the services and Kafka know of orders that wait. Raises Refused when one refuses the token."""
    gathering = _Gathering(api)
    unfinished = Unfinished(gathering.now, ahead=gathering.ahead)
    await asyncio.gather(
        _add_orders(gathering, unfinished),
        _add_payments(gathering, unfinished),
        _add_unsent(gathering, unfinished),
        _add_open_items(gathering, unfinished),
        _add_unapplied(gathering, unfinished, backlog),
        _add_letters(gathering, unfinished, letters),
    )
    await _look_up(gathering, unfinished)
    unfinished.unread, unfinished.cut = gathering.errors.unread, tuple(sorted(gathering.cut))
    return unfinished


async def _add_orders(gathering: _Gathering, unfinished: Unfinished) -> None:
    rows = await gathering.pages("Open orders", "orderfc", "orders", "before_id", ORDER_PAGES, status="created")
    unfinished.orders = {row["order_id"]: datetime.fromisoformat(row["created_at"]) for row in rows}


async def _add_payments(gathering: _Gathering, unfinished: Unfinished) -> None:
    answers = await asyncio.gather(
        *(
            gathering.pages(
                f"Payments that wait for {step}", "paymentfc", "payments/waiting", "after", PAYMENT_PAGES, step=step
            )
            for step in _STEPS
        )
    )
    rows = [row for answer in answers for row in answer]
    unfinished.payments = {
        row["order_id"]: timed({**row, "status": "PENDING", "next_attempt_at": row["moment"]}) for row in rows
    }
    # Money of a wrong amount holds its order, also when its anomaly is resolved.
    held = [{**row["wrong_money"], "of": row} for row in rows if row["wrong_money"]]
    unfinished.anomalies = [
        *unfinished.anomalies,
        *(timed(_held(anomaly)) for anomaly in held if anomaly["resolved_at"] is not None),
    ]


def _held(anomaly: Mapping[str, Any]) -> dict[str, Any]:
    payment = anomaly["of"]
    about = {"order_id": payment["order_id"], "external_id": "", "expires_at": payment["expires_at"]}
    return {**anomaly, **about, "holds": True, "has_refund": False}


async def _add_unsent(gathering: _Gathering, unfinished: Unfinished) -> None:
    answers = await asyncio.gather(
        *(
            gathering.pages(f"Outbox of {service}", service, "outbox", "after_id", OUTBOX_PAGES)
            for service in PUBLISHERS
        )
    )
    unfinished.unsent = [
        (service, timed(row)) for service, rows in zip(PUBLISHERS, answers, strict=True) for row in rows
    ]


async def _add_open_items(gathering: _Gathering, unfinished: Unfinished) -> None:
    asking = gathering.api.get("paymentfc", "payments/open-items", limit=MAX_ITEMS)
    found = await gathering.errors.read("paymentfc", asking, None) or {}
    items = {kind: [timed(row) for row in rows] for kind, rows in found.items()}
    gathering.cut += [
        f"Open {kind}: only the oldest {MAX_ITEMS} were read" for kind, rows in items.items() if len(rows) == MAX_ITEMS
    ]
    unfinished.callbacks, unfinished.confirmations = items.get("callbacks", ()), items.get("confirmations", ())
    unfinished.refunds, unfinished.closings = items.get("refunds", ()), items.get("closings", ())
    unfinished.anomalies = [*unfinished.anomalies, *items.get("anomalies", ())]


async def _add_unapplied(gathering: _Gathering, unfinished: Unfinished, backlog: EventBacklog) -> None:
    behind = await gathering.errors.read("kafka", backlog.read(), Behind((), 0))
    if behind.more > 0:
        gathering.cut.append(f"Events that no consumer has committed: {behind.more} more were not read")
    wanted = defaultdict(set)
    for event in behind.events:
        wanted[event.consumer].add(event.identity)
    applied = await gathering.applied(wanted)
    unfinished.unapplied = [
        ({"topic": event.topic, "key": event.key, "published_at": event.published_at + gathering.ahead}, event.consumer)
        for event in behind.events
        if (event.consumer, event.identity) not in applied
    ]


async def _add_letters(gathering: _Gathering, unfinished: Unfinished, letters: Letters) -> None:
    """Add the letters that are not handled and whose event was not applied since."""
    contents = await gathering.errors.read("kafka", _look(letters), None)
    found = [item.letter for item in contents.items] if contents else []
    if contents and contents.unread:
        unfinished.unread_letters = contents.unread
        gathering.cut.append(f"Dead letters: {contents.unread} more were not read")
    wanted = defaultdict(set)
    for letter in found:
        wanted[_consumer_of(letter)].add(letter.identity)
    applied = await gathering.applied(wanted)
    unfinished.letters = [letter for letter in found if (_consumer_of(letter), letter.identity) not in applied]


async def _look(letters: Letters) -> Contents | None:
    return await letters.look()


def _consumer_of(letter: DeadLetter) -> str:
    consumers = CONSUMERS[letter.topic]
    return letter.consumer if letter.consumer in consumers else consumers[0]


async def _look_up(gathering: _Gathering, unfinished: Unfinished) -> None:
    """Ask paymentfc about open orders whose payment is not open, the oldest first: they wait, or are being finished."""
    if "paymentfc" in gathering.errors.unread:
        return
    old = [
        (placed, order_id)
        for order_id, placed in unfinished.orders.items()
        if order_id not in unfinished.payments and placed <= gathering.now - _SETTLED_AFTER
    ]
    if len(old) > MAX_LOOKED_UP:
        gathering.cut.append(f"Open orders without an open payment: only {MAX_LOOKED_UP} of {len(old)} were looked up")
    first = [order_id for _, order_id in sorted(old)[:MAX_LOOKED_UP]]
    dossiers: list[Any] = await asyncio.gather(
        *(gathering.errors.read("paymentfc", gathering.api.dossier(order_id), None) for order_id in first)
    )
    if "paymentfc" in gathering.errors.unread:
        return
    for order_id, dossier in zip(first, dossiers, strict=True):
        has_one = dossier is not None and dossier["payment"] is not None
        unfinished.payments[order_id] = payment_row(dossier["payment"], dossier["request"]) if has_one else None
