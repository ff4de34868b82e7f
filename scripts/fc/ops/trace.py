"""`fc trace`: from an order to its trace, its events and its log lines."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.markup import escape

from chassis import clock
from fc.ops import order_events, order_lines, output, telemetry_links
from fc.ops.clock import followed
from fc.ops.connections import as_stack_errors
from fc.ops.order_events import Found, OrderEvent, trace_in
from fc.ops.order_lines import Line, Lines, Wanted
from fc.platform.snapshot import Snapshot
from fc.platform.sources import Sources
from fc.platform.topics import PUBLISHERS
from fc.stack.errors import StackError
from orderfc.model import Status

EVENTS = ("topic", "place", "committed", "published", "event", "applied")
LINES = ("time", "service", "level", "event", "details")
# What the row of a line shows in another column, and ids that its place in the list makes superfluous.
IDS = ("order_id", "key", "external_id", "trace_id", "span_id", "request_id", "event_id", "offset", "process")
REQUEST = ("method", "path", "status_code", "duration_ms")
LEFT_OUT = frozenset(("timestamp", "service", "level", "event", "logger", "route", *IDS, *REQUEST))

_ORDER = "SELECT id, user_id, status, total_amount, currency, created_at FROM orders WHERE id = $1"
_PAYMENT = "SELECT status, invoice_id, traceparent FROM payments WHERE order_id = $1"


@dataclass(slots=True)
class Story:
    """All that is known of an order; `trace_id` is that of its checkout, `linked` are those of its callbacks."""

    order: Any
    payment: Any | None
    trace_id: str | None
    linked: list[str]
    events: Found
    lines: Lines
    links: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        return {
            "order_id": self.order["id"],
            "user_id": self.order["user_id"],
            "status": Status(self.order["status"]).name.lower(),
            "payment": self.payment and self.payment["status"],
            "created_at": self.order["created_at"].isoformat(),
            "trace_id": self.trace_id,
            "linked_trace_ids": self.linked,
            "links": self.links,
            "events": [event.as_json() for event in self.events.events],
            "lines": self.lines.lines,
            "lines_from": self.lines.sources,
            "notes": [*self.events.notes, *self.lines.notes],
        }


def trace(
    order_id: Annotated[int, typer.Argument(min=1, metavar="ORDER", help="The number of the order.")],
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=10_000, help="How many log lines at most.")] = 40,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the trace of an order with its links, its events in outbox and Kafka, and its last log lines."""
    with followed():
        story = asyncio.run(gather(Sources.here(), order_id, lines))
    if as_json:
        output.put_json([story.as_json()])
        return
    _put_head(story)
    output.say("")
    output.put_rows(EVENTS, [_event_row(event) for event in story.events.events])
    output.say("")
    output.put_rows(LINES, [_line_row(line) for line in story.lines.lines])
    for note in (*story.events.notes, *story.lines.notes):
        output.say(f"[yellow]{escape(note)}[/]")


async def gather(sources: Sources, order_id: int, lines: int) -> Story:
    """Read what is known of an order. Raises StackError, also for an unknown order."""
    addresses = {service: sources.databases[service] for service in PUBLISHERS}
    with as_stack_errors():
        async with Snapshot.taken(addresses) as snapshot:
            rows = await snapshot.fetch("orderfc", _ORDER, order_id)
            if not rows:
                raise StackError(f"orderfc has no order {order_id}")
            [order] = rows
            payments = await snapshot.fetch("paymentfc", _PAYMENT, order_id)
            found = await order_events.find(sources, snapshot, f"order-{order_id}", order["created_at"])
    payment = payments[0] if payments else None
    trace_id, linked = _traces(payment, found.events)
    links, store = await asyncio.to_thread(telemetry_links.of, order_id, trace_id, order["created_at"])
    # The times of lines are the machine's.
    since = order["created_at"] - order_events.SLACK - timedelta(seconds=clock.ahead_s())
    wanted = Wanted(order_id, {*linked, *([trace_id] if trace_id else [])}, since)
    return Story(
        order, payment, trace_id, linked, found, await asyncio.to_thread(order_lines.find, wanted, lines, store), links
    )


def _traces(payment: Any | None, events: list[OrderEvent]) -> tuple[str | None, list[str]]:
    """Return the trace of the checkout, and the others: payments keep the first for ever, events for seven days."""
    ids = [trace_in(payment["traceparent"])] if payment else []
    ids += [event.trace_id for event in events]
    ids += [event.linked_trace_id for event in events]
    given = list(dict.fromkeys(each for each in ids if each))
    return (given[0], given[1:]) if given else (None, [])


def _put_head(story: Story) -> None:
    order, status = story.order, Status(story.order["status"]).name.lower()
    amount = f"{order['total_amount'].normalize():f} {order['currency']}"
    placed = f"placed {output.moment(order['created_at'])} by customer {order['user_id']}"
    rows: list[tuple[str, object]] = [("order", f"{order['id']}, {status}, {amount}, {placed}")]
    if story.payment:
        rows.append(("payment", f"{story.payment['status']}, invoice {story.payment['invoice_id'] or 'not made yet'}"))
    rows.append(("trace", story.trace_id))
    rows += [("linked trace", each) for each in story.linked]
    rows += list(story.links.items())
    output.put_rows(("field", "content"), rows)


def _event_row(event: OrderEvent) -> tuple[object, ...]:
    committed, published = event.committed_at, event.published_at
    sent = _after(committed, published) if committed and published else _clock(published)
    if event.state != "published":
        sent = f"{event.state}, {event.error}" if event.error else event.state
    applied = [f"{service} {_after(committed, time)}".strip() for service, time in event.applied.items()]
    if event.state == "published":
        applied += [f"{service} not yet" for service in event.awaited]
    applied += [f"dead letter {letter}" for letter in event.letters]
    place = " ".join(event.places)
    return event.topic, place, _clock(committed), sent, event.event_id, ", ".join(applied)


def _after(begin: datetime | None, end: datetime | None) -> str:
    """Return the time between two moments of different clocks, which may be less than nothing."""
    if begin is None or end is None:
        return _clock(end)
    return f"{(end - begin).total_seconds() * 1000:+,.0f} ms"


def _clock(time: datetime | None) -> str:
    return f"{time:%H:%M:%S}.{time.microsecond // 1000:03}" if time else "-"


def _line_row(line: Line) -> tuple[object, ...]:
    time = str(line["timestamp"])[11:23]
    fields = " ".join(f"{name}={value}" for name, value in line.items() if name not in LEFT_OUT and value is not None)
    if line["event"] == "request":
        method, path, status, duration = map(line.get, REQUEST)
        fields = f"{method} {path} {status}, {duration} ms {fields}"
    return time, line["service"], line["level"], line["event"], fields.strip()
