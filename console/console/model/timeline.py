"""The life of one order: a row for all that happened, causes before effects, and hollow rows for what is missing.

A pure function: the same answers give the same timeline, in whatever order their rows came.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from console.model.events import OrderEvent, events_of
from console.model.facts import PARTLY_READ, Facts, Json
from console.model.order_waits import waits_of
from console.model.payment_rows import of_payment
from console.model.row import Row, moment
from console.model.saga import PRODUCERS
from console.model.wait import Wait

# Rows of the same moment, in the order of the steps of an order.
_KINDS = (
    "order",
    "event",
    "payment",
    "request",
    "invoice",
    "stock",
    "callback",
    "settled",
    "anomaly",
    "refund",
    "closing",
)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The rows of an order, and the sources that did not answer, each with what is therefore missing."""

    order_id: int
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    waits: tuple[Wait, ...] = ()


def timeline(facts: Facts) -> Timeline:
    """Put the answers together."""
    events = events_of(facts)
    rows = {row.key: row for row in _rows(facts, events)}
    ordered = _ordered(_known_causes(rows))
    begin = min((row.at for row in ordered if row.at is not None), default=None)
    shown = tuple(
        replace(row, after_ms=(row.at - begin).total_seconds() * 1000) if row.at and begin else row for row in ordered
    )
    notes = tuple(_note(name, reason) for name, reason in sorted(facts.unread.items()))
    return Timeline(facts.order_id, shown, notes, tuple(waits_of(facts)))


def _note(name: str, reason: str) -> str:
    if reason == PARTLY_READ:
        return f"{name}: {reason}; others may be missing"
    return f"{name} did not answer ({reason}): its rows are missing"


def _rows(facts: Facts, events: Iterable[OrderEvent]) -> Iterable[Row]:
    yield from _of_order(facts.order)
    for event in events:
        yield _of_event(event, facts.ahead)
    yield from _of_stock(facts.stock)
    if facts.dossier is not None:
        yield from of_payment(facts.dossier)


def _of_order(order: Json | None) -> Iterable[Row]:
    if order is None:
        return
    for step in order["history"]:
        causes = {
            "paid": {("event", "payment.success")},
            "payment_failed": {("event", "payment.failed")},
            "stock_rejected": {("event", "stock.rejected")},
        }.get(step["cause"], set())
        if step["status"] != "created":
            causes = causes | {("order", "created")}
        yield Row(
            ("order", step["status"]),
            "orderfc",
            step["status"],
            moment(step["timestamp"]),
            f"cause: {step['cause']}",
            causes=frozenset(causes),
        )


# What stands behind an event of each topic; ("order", "created") of an order that is over comes before both.
_BEHIND: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "order.created": (("order", "created"),),
    "stock.updated": (("order", "created"),),
    "stock.rollback": (("order", "cancelled"),),
    "order.cancelled": (("order", "cancelled"),),
    "payment.success": (("settled", "PAID"), ("settled", "late")),
    "payment.failed": (("settled", "EXPIRED"), ("settled", "FAILED")),
    "stock.rejected": (("stock", "REJECTED"),),
}


def _of_event(event: OrderEvent, ahead: timedelta) -> Row:
    key = ("event", event.topic, event.event_id)
    detail = {
        "published": " ".join(event.places),
        "pending": f"in the outbox; {event.error}" if event.error else "in the outbox",
        "parked": f"parked; {event.error}",
        "missing": "not written, or not found",
        "gone": "older than topics and outboxes keep it",
        "unknown": "no source could tell",
    }[event.state]
    at = event.committed_at or (event.published_at and event.published_at + ahead)
    causes = frozenset(_BEHIND.get(event.topic, ()))
    lane = PRODUCERS.get(event.topic, "orderfc")
    return Row(key, lane, event.topic, at, detail, event.state != "published", event, causes)


def _of_stock(rows: Iterable[Json]) -> Iterable[Row]:
    states: dict[str, list[Json]] = {}
    for row in rows:
        states.setdefault(row["state"], []).append(row)
        if row["state"] == "RELEASED":
            states.setdefault("TAKEN", []).append(row)
    for state, held in sorted(states.items()):
        lines = sorted((row["product_id"], row["quantity"]) for row in held)
        name = "created_at" if state == "TAKEN" else "updated_at"
        at = min(moment(row[name]) for row in held)
        detail = ", ".join(f"{quantity} x product {product}" for product, quantity in lines)
        released = {("event", "stock.rollback"), ("stock", "TAKEN")}
        causes = {"TAKEN": {("event", "stock.updated")}, "RELEASED": released, "REJECTED": {("event", "stock.updated")}}
        yield Row(
            ("stock", state),
            "productfc",
            f"stock {state.lower()}",
            at,
            detail,
            causes=frozenset(causes.get(state, {("event", "stock.rollback")})),
        )


def _known_causes(rows: Mapping[tuple[str, ...], Row]) -> dict[tuple[str, ...], Row]:
    """Replace each cause by the keys of the rows that it names: a whole key, or the beginning of one."""
    return {
        key: replace(row, causes=frozenset(other for other in rows if other != key and _is_named(other, row.causes)))
        for key, row in rows.items()
    }


def _is_named(key: tuple[str, ...], causes: frozenset[tuple[str, ...]]) -> bool:
    return any(key[: len(cause)] == cause for cause in causes)


def _ordered(rows: Mapping[tuple[str, ...], Row]) -> list[Row]:
    """Sort rows so that each comes after its causes, and else by time; what has not happened comes last."""
    left = {key: len(row.causes) for key, row in rows.items()}
    ready = [(_place(row), key) for key, row in rows.items() if not row.causes]
    heapq.heapify(ready)
    done: list[Row] = []
    times: dict[tuple[str, ...], datetime] = {}
    while ready:
        _, key = heapq.heappop(ready)
        row, at = rows[key], rows[key].at
        latest = max((times[cause] for cause in row.causes if cause in times), default=None)
        if at is not None:
            early = (latest - at).total_seconds() * 1000 if latest is not None else 0.0
            row = replace(row, clocks_ms=max(early, 0.0))
            times[key] = at
        done.append(row)
        for other, effect in rows.items():
            if key in effect.causes:
                left[other] -= 1
                if not left[other]:
                    heapq.heappush(ready, (_place(effect), other))
    # Rows that are each other's causes: two services contradict each other, and both are shown.
    shown = {row.key for row in done}
    return done + sorted((row for key, row in rows.items() if key not in shown), key=lambda row: (_place(row), row.key))


def _place(row: Row) -> tuple[bool, float, int]:
    return row.at is None, row.at.timestamp() if row.at else 0.0, _KINDS.index(row.key[0])


def as_json(shown: Timeline) -> dict[str, Any]:
    """Return the timeline as JSON values, for pages, tests and scripts."""
    return {
        "order_id": shown.order_id,
        "waits": [wait.as_json() for wait in shown.waits],
        "notes": list(shown.notes),
        "rows": [_row_json(row) for row in shown.rows],
    }


def _row_json(row: Row) -> dict[str, Any]:
    event = row.event
    values: dict[str, Any] = {
        "key": "/".join(row.key),
        "lane": row.lane,
        "title": row.title,
        "at": row.at and row.at.isoformat(),
        "after_ms": row.after_ms,
        "detail": row.detail,
        "hollow": row.hollow,
        "clocks_ms": row.clocks_ms,
    }
    if event is not None:
        values["event"] = {
            "state": event.state,
            "event_id": event.event_id,
            "published_at": event.published_at and event.published_at.isoformat(),
            "letters": list(event.letters),
            "applied": {hop.consumer: hop.applied_at and hop.applied_at.isoformat() for hop in event.hops},
        }
    return values
