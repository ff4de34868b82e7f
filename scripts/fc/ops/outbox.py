"""`fc outbox`: lists the events that are committed and not published yet, and has them sent at once."""

import asyncio
from typing import Annotated

import typer

from fc.ops import places, shown, unsent
from fc.stack.errors import StackError

app = typer.Typer(help="Events that are committed and not published yet.", no_args_is_help=True)
COLUMNS = ("service", "id", "topic", "key", "age", "state", "attempts", "next try", "last error")

Service = Annotated[str | None, typer.Option("--service", metavar="SERVICE", help="Only the outbox of this service.")]


def _put(rows: list[unsent.Row], *, as_json: bool = False) -> None:
    if as_json:
        shown.put_json(row.shown() for row in rows)
        return
    shown.put_rows(
        COLUMNS,
        [
            (
                row.service, row.id, row.topic, row.key, shown.age(row.created_at, row.seen_at), row.state, row.attempts,
                shown.moment(row.next_attempt_at), row.last_error,
            )
            for row in rows
        ],
    )  # fmt: skip


@app.command("ls")
def list_rows(
    service: Service = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """List what waits, by service and age."""
    services = [unsent.publisher(service)] if service else list(unsent.SERVICES)
    rows = asyncio.run(unsent.find(places.here(), services))
    _put(rows, as_json=as_json)
    if not as_json:
        parked = sum(row.parked_at is not None for row in rows)
        shown.say(f"[bold]{len(rows) - parked} pending, {parked} parked[/]")


@app.command()
def retry(
    service: Annotated[str, typer.Option("--service", metavar="SERVICE", help="Whose outbox.")],
    row_id: Annotated[int | None, typer.Option("--id", min=1, help="One row.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All rows that are parked or back off.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only told.")] = False,
) -> None:
    """Have parked and backing-off events sent at once, in place of when their next try is due."""
    if (row_id is None) != every:
        raise StackError("name one row with --id N, or all that wait with --all")
    rows = asyncio.run(unsent.retry(places.here(), unsent.publisher(service), row_id, dry=not yes))
    if row_id is not None and not rows:
        raise StackError(f"row {row_id} of {service} neither is parked nor backs off; `fc outbox ls` lists what waits")
    _put(rows)
    shown.say(f"[bold]{len(rows)} due now[/]" if yes else f"[bold]{len(rows)} would be due now[/]. --yes does it.")
