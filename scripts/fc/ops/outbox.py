"""`fc outbox`: lists the events that are committed and not published yet, and makes them due now."""

import asyncio
from typing import Annotated

import typer

from fc.ops import output, unsent
from fc.platform.sources import Sources
from fc.platform.topics import PUBLISHERS
from fc.stack.errors import StackError

app = typer.Typer(help="Events that are committed and not published yet.", no_args_is_help=True)
COLUMNS = ("service", "id", "topic", "key", "age", "state", "attempts", "next try", "last error")

Service = Annotated[str | None, typer.Option("--service", metavar="SERVICE", help="Only the outbox of this service.")]


def _put(rows: list[unsent.Row], *, as_json: bool = False) -> None:
    if as_json:
        output.put_json(row.as_json() for row in rows)
        return
    output.put_rows(COLUMNS, map(_cells, rows))


def _cells(row: unsent.Row) -> tuple[object, ...]:
    age, next_try = output.age(row.created_at, row.seen_at), output.moment(row.next_attempt_at)
    return row.service, row.id, row.topic, row.key, age, row.state, row.attempts, next_try, row.last_error


@app.command("ls")
def list_rows(
    service: Service = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List the unpublished events, by service and age."""
    services = [unsent.publisher(service)] if service else PUBLISHERS
    rows = asyncio.run(unsent.find(Sources.here(), services))
    _put(rows, as_json=as_json)
    if not as_json:
        parked = sum(row.parked_at is not None for row in rows)
        output.say(f"[bold]{len(rows) - parked} pending, {parked} parked[/]")


@app.command()
def retry(
    service: Annotated[str, typer.Option("--service", metavar="SERVICE", help="The service that owns the outbox.")],
    row_id: Annotated[int | None, typer.Option("--id", min=1, help="One row.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All rows that are parked or backing off.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without --yes the rows are only listed.")] = False,
) -> None:
    """Make parked and backing-off events due now, so that the relay publishes them at once."""
    if (row_id is None) != every:
        raise StackError("name one row with --id N, or all waiting rows with --all")
    rows = asyncio.run(unsent.retry(Sources.here(), unsent.publisher(service), row_id, dry=not yes))
    if row_id is not None and not rows:
        raise StackError(
            f"row {row_id} of {service} neither is parked nor backs off; `fc outbox ls` lists the rows that wait"
        )
    _put(rows)
    output.say(f"[bold]{len(rows)} due now[/]" if yes else f"[bold]{len(rows)} would be due now[/]. --yes does it.")
