"""`fc dlq`: lists dead letters, shows one, sends them again or puts them aside, and keeps who did it and why."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

import typer
from rich.markup import escape

from fc.ops import dead_letters, places, shown
from fc.ops.dead_letters import Item, Order, Step
from fc.ops.journal import Action
from fc.ops.letters import source_topic
from fc.ops.log import Log
from fc.platform.topics import PUBLISHER
from fc.stack.errors import StackError

app = typer.Typer(help="Dead letters: what could not be applied, and what becomes of it.", no_args_is_help=True)
T = TypeVar("T")
COLUMNS = ("topic", "place", "failed at", "order", "reason", "handler", "tries", "replays", "error")
HANDLED = ("state", "by", "at", "why")

Json = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]
Topic = Annotated[str | None, typer.Argument(metavar="[TOPIC]", help="The topic, with or without .dlq.")]
Place = Annotated[str | None, typer.Argument(metavar="[PARTITION:OFFSET]", help="Where the letter lies.")]
Of = Annotated[str | None, typer.Option("--topic", metavar="TOPIC", help="Only the letters of this topic.")]
Every = Annotated[bool, typer.Option("--all", help="All letters of --topic that nobody has handled.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the journal.")]
By = Annotated[str | None, typer.Option("--by", help="Who; the user of the operating system when not given.")]
Force = Annotated[bool, typer.Option("--force", help="Also what is permanent, was replayed often, or is handled.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this it is only told what would be done.")]


def run(work: Callable[[Log], Awaitable[T]]) -> T:
    """Run something with a connection to Kafka. Raises StackError."""

    async def connected() -> T:
        async with Log.opened(places.here().kafka) as log:
            return await work(log)

    return asyncio.run(connected())


@app.command("ls")
def list_letters(
    topic: Of = None,
    everything: Annotated[bool, typer.Option("--all", help="Handled letters, too, with who, when and why.")] = False,
    as_json: Json = False,
) -> None:
    """List the dead letters that nobody has handled, oldest first."""
    topics = [source_topic(topic)] if topic else list(PUBLISHER)
    items = run(lambda log: dead_letters.find(log, topics, handled=everything))
    if as_json:
        shown.put_json(_json(item) for item in items)
        return
    shown.put_rows((*COLUMNS, *HANDLED) if everything else COLUMNS, [_row(item, handled=everything) for item in items])
    open_ = sum(item.handled is None for item in items)
    shown.say(f"[bold]{open_} open[/]" + (f", {len(items) - open_} handled" if everything else ""))


def _row(item: Item, *, handled: bool) -> list[object]:
    told = item.letter.shown()
    row = [
        told["topic"], told["place"], shown.moment(_time(told["failed_at"])), told["order_id"], told["reason"],
        told["handler"], told["tries"], told["replays"], told["error"],
    ]  # fmt: skip
    done = item.handled
    if not handled:
        return row
    return [*row, *((done.action, done.by, shown.moment(done.at), done.why) if done else ("open", None, None, None))]


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _json(item: Item) -> dict[str, Any]:
    return item.letter.shown() | {"handled": item.handled.shown() if item.handled else None}


@app.command("show")
def show_letter(
    topic: Annotated[str, typer.Argument(help="The topic, with or without .dlq.")],
    place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="Where the letter lies.")],
    as_json: Json = False,
) -> None:
    """Show one dead letter: its key, headers and value, and what was done with it."""
    item = run(lambda log: dead_letters.pick(log, source_topic(topic), place))
    letter = item.letter
    key, value = (None if part is None else part.decode("utf-8", "replace") for part in (letter.key, letter.value))
    headers = [(name, data.decode("utf-8", "replace")) for name, data in letter.headers]
    if as_json:
        shown.put_json([_json(item) | {"key": key, "value": value, "headers": [list(header) for header in headers]}])
        return
    rows: list[tuple[str, object]] = [("topic", letter.topic), ("place", letter.place), ("event", letter.event_id)]
    rows += [("key", key), *headers, ("value", value)]
    if done := item.handled:
        rows.append(("handled", f"{done.action} by {done.by} at {shown.moment(done.at)}: {done.why}"))
    shown.put_rows(("what", "content"), rows)
    if not item.handled and (refusal := letter.refusal()):
        shown.say(f"[yellow]It is not replayed without --force:[/] {escape(refusal)}")


@app.command()
def replay(
    reason: Reason, topic: Topic = None, place: Place = None, every: Every = False, of: Of = None,
    by: By = None, force: Force = False, yes: Yes = False,
) -> None:  # fmt: skip
    """Send dead letters to their topic again, under their own event id: what was applied meanwhile is not applied twice."""
    order = Order(Action.REPLAYED, by or places.operator(), reason, force, dry=not yes)
    _carry_out(order, topic, place, of if every else None)


@app.command()
def discard(
    reason: Reason, topic: Topic = None, place: Place = None, every: Every = False, of: Of = None,
    by: By = None, force: Force = False, yes: Yes = False,
) -> None:  # fmt: skip
    """Put dead letters aside: they stay in Kafka and in the journal, and `ls` no longer lists them."""
    order = Order(Action.DISCARDED, by or places.operator(), reason, force, dry=not yes)
    _carry_out(order, topic, place, of if every else None)


def _carry_out(order: Order, topic: str | None, place: str | None, all_of: str | None) -> None:
    if not order.why.strip():
        raise StackError("--reason is empty: say why, for those who look at it later")
    if (topic is None or place is None) == (all_of is None):
        raise StackError("name one letter as TOPIC PARTITION:OFFSET, or all of a topic with --all --topic TOPIC")

    async def work(log: Log) -> list[Step]:
        if all_of is not None:
            items = await dead_letters.find(log, [source_topic(all_of)])
        else:
            items = [await dead_letters.pick(log, source_topic(topic or ""), place or "")]
        return await dead_letters.carry_out(log, items, order)

    _report(run(work), order)


def _report(steps: list[Step], order: Order) -> None:
    verb = f"would be {order.action}" if order.dry else str(order.action)
    shown.put_rows(
        ("topic", "place", "order", "reason", "what"),
        [
            (s.letter.topic, s.letter.place, s.letter.order_id, s.letter.reason, f"refused: {s.refusal}" if s.refusal else verb)
            for s in steps
        ],
    )  # fmt: skip
    counts = Counter(step.refusal is None for step in steps)
    refused = f", {counts[False]} refused (--force overrules)" if counts[False] else ""
    shown.say(
        f"[bold]{counts[True]} {verb}[/]{refused}" + (". Nothing was changed: --yes does it." if order.dry else "")
    )
    if counts[False] and not counts[True]:
        raise typer.Exit(1)
