"""`fc outbox`: lists the events that are committed and not published yet, and makes them due now."""

import asyncio
from collections.abc import Container
from typing import Annotated

import typer
from rich.markup import escape

from chassis import clock
from console.client.admin_api import AdminApi, NoAnswer
from console.model.unsent import UnsentEvent
from console.usecase.list_unsent import PARKED, PENDING, Outbox, list_unsent
from console.usecase.retry_events import retry_events
from fc.ops import output, unsent
from fc.ops.administrator import admin_api
from fc.ops.origin import Origin
from fc.platform.sources import Sources
from fc.platform.topics import PUBLISHERS
from fc.stack.errors import StackError

app = typer.Typer(help="Events that are committed and not published yet.", no_args_is_help=True)
COLUMNS = ("service", "id", "topic", "key", "age", "state", "attempts", "next try", "last error")

Service = Annotated[str | None, typer.Option("--service", metavar="SERVICE", help="Only the outbox of this service.")]
From = Annotated[Origin, typer.Option("--from", help="Read the databases, or ask the services as the console does.")]


def _put(events: list[UnsentEvent], *, as_json: bool = False) -> None:
    if as_json:
        output.put_json(event.as_json() for event in events)
        return
    output.put_rows(COLUMNS, map(_cells, events))


def _cells(event: UnsentEvent) -> tuple[object, ...]:
    age, next_try = output.age(event.created_at, event.seen_at), output.moment(event.next_attempt_at)
    return (
        event.service,
        event.id,
        event.topic,
        event.key,
        age,
        event.state,
        event.attempts,
        next_try,
        event.last_error,
    )


@app.command("ls")
def list_rows(
    service: Service = None,
    origin: From = Origin.DATABASES,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List the unpublished events, by service and age."""
    services = [unsent.publisher(service)] if service else PUBLISHERS
    more: set[str] = set()
    if origin is Origin.DATABASES:
        events = asyncio.run(unsent.find(Sources.here(), services))
    else:
        outboxes = asyncio.run(_asked(*services))
        events, more = _events(outboxes), more.union(*(outbox.more for outbox in outboxes))
    _put(events, as_json=as_json)
    if not as_json:
        output.say(f"[bold]{totals(events, more)}[/]")


def totals(events: list[UnsentEvent], more: Container[str]) -> str:
    """Count the events by state; of the states in `more` there may be more than were listed."""
    parked = sum(event.parked_at is not None for event in events)
    counts = {PENDING: len(events) - parked, PARKED: parked}
    return ", ".join(f"{'at least ' if state in more else ''}{count} {state}" for state, count in counts.items())


async def _asked(*services: str) -> list[Outbox]:
    async with admin_api() as api:
        return await _read(api, *services)


async def _read(api: AdminApi, *services: str) -> list[Outbox]:
    """Ask the services. Raises StackError when one does not answer."""
    outboxes = await list_unsent(api, services)
    for outbox in outboxes:
        if outbox.problem:
            raise StackError(f"{outbox.service} did not answer: {outbox.problem}; `fc status` shows what runs")
        if outbox.more:
            states = " and ".join(sorted(outbox.more))
            output.say(f"[yellow]Not all events of {outbox.service} were read: there may be more {states} ones[/]")
    return outboxes


def _events(outboxes: list[Outbox]) -> list[UnsentEvent]:
    return [event for outbox in outboxes for event in sorted(outbox.events, key=lambda event: event.id)]


@app.command()
def retry(
    service: Annotated[str, typer.Option("--service", metavar="SERVICE", help="The service that owns the outbox.")],
    row_id: Annotated[int | None, typer.Option("--id", min=1, help="One row.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All rows that are parked or backing off.")] = False,
    origin: From = Origin.DATABASES,
    reason: Annotated[str, typer.Option("--reason", help="Recorded by the service, with --from services.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without --yes the rows are only listed.")] = False,
) -> None:
    """Make parked and backing-off events due now, so that the relay publishes them at once."""
    if (row_id is None) != every:
        raise StackError("name one row with --id N, or all waiting rows with --all")
    publisher = unsent.publisher(service)
    if origin is Origin.DATABASES:
        events = asyncio.run(unsent.retry(Sources.here(), publisher, row_id, dry=not yes))
    else:
        events = asyncio.run(_retry_by_service(publisher, row_id, reason.strip(), dry=not yes))
    if row_id is not None and not events:
        raise StackError(
            f"row {row_id} of {service} neither is parked nor backs off; `fc outbox ls` lists the rows that wait"
        )
    _put(events)
    output.say(f"[bold]{len(events)} due now[/]" if yes else f"[bold]{len(events)} would be due now[/]. --yes does it.")


async def _retry_by_service(service: str, row_id: int | None, reason: str, *, dry: bool) -> list[UnsentEvent]:
    if not reason:
        raise StackError("--from services needs --reason: the service records it")
    async with admin_api() as api:
        if row_id is not None and not dry:
            return await _retry_one(api, service, row_id, reason)
        outboxes = await _read(api, service)
        events = _events(outboxes)
        waiting = [event for event in events if event.waits and row_id in (None, event.id)]
        if outboxes[0].more and row_id not in {None, *(event.id for event in events)}:
            raise StackError(
                f"row {row_id} of {service} is not among those that were read; --yes asks for it by its id"
            )
        if dry:
            return waiting
        done = await retry_events(api, service, [event.id for event in waiting], reason)
    for each in done:
        if each.refusal:
            output.say(f"[yellow]{each.row_id} is not due now:[/] {escape(each.refusal)}")
    due = {each.row_id for each in done if not each.refusal}
    return [event for event in waiting if event.id in due]


async def _retry_one(api: AdminApi, service: str, row_id: int, reason: str) -> list[UnsentEvent]:
    """Name the row to the service, whose lists show only the first rows. Raises StackError."""
    try:
        status, row = await api.post(service, f"outbox/{row_id}/retry", {"reason": reason})
    except NoAnswer as error:
        raise StackError(f"{service} did not answer: {error}; `fc status` shows what runs") from error
    if status != 200:
        raise StackError(f"{service} refuses row {row_id}: {row.get('error', status)}")
    return [] if row["state"] == "published" else [UnsentEvent.of_answer(service, row, clock.now())]
