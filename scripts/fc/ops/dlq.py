"""`fc dlq`: lists, shows, replays and discards dead letters; the journal keeps the operator and the reason."""

import asyncio
import getpass
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

import typer
from rich.markup import escape

from chassis import telemetry
from chassis.errors import AppError
from console.client.admin_api import NoAnswer
from console.client.letter_box import LetterBox
from console.model.items import Item
from console.model.journal import Action
from console.model.letters import as_json as letter_json
from console.model.letters import source_topic
from console.usecase.handle_letters import LetterCommand, LetterStep, carry_out, plan
from contracts.topics import PRODUCERS
from fc.ops import output
from fc.ops.kafka_records import KafkaRecords
from fc.platform.errors import CouldNotCheck
from fc.platform.sources import Sources
from fc.stack.errors import StackError
from fc.stack.programs import developer_settings

app = typer.Typer(help="Dead letters: messages that a consumer could not apply.", no_args_is_help=True)
T = TypeVar("T")
# How long the last spans may take.
SPANS_S = 2
# How long a command reads a letter and the journal, of which it knows nothing yet.
READ_S = 60.0
COLUMNS = ("topic", "place", "failed at", "order", "reason", "handler", "tries", "replays", "error")
HANDLED = ("state", "by", "at", "why")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
Topic = Annotated[str | None, typer.Argument(metavar="[TOPIC]", help="The topic, with or without .dlq.")]
Place = Annotated[str | None, typer.Argument(metavar="[PARTITION:OFFSET]", help="The place of the letter.")]
Of = Annotated[str | None, typer.Option("--topic", metavar="TOPIC", help="Only the letters of this topic.")]
Every = Annotated[bool, typer.Option("--all", help="All letters of --topic that are not handled.")]
Reason = Annotated[str, typer.Option("--reason", help="The reason, for the journal.")]
By = Annotated[str | None, typer.Option("--by", help="The operator. Default: the user of the operating system.")]
Force = Annotated[bool, typer.Option("--force", help="Include letters that are permanent, replayed often, or handled.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without --yes the letters are only listed.")]


def operator() -> str:
    """Return the name of the user of the operating system."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # The user of a container may have a number and no name.
        return f"uid {os.getuid()}"


def run(work: Callable[[LetterBox], Awaitable[T]]) -> T:
    """Run `work` with the letters in Kafka, and with its spans recorded. Raises StackError."""

    async def connected() -> T:
        sources = Sources.here()
        environment = developer_settings().get("ENVIRONMENT", "development")
        provider = telemetry.setup("fc", sources.spans, 1.0, environment=environment)
        try:
            async with KafkaRecords.opened(sources.kafka, **sources.kafka_client()) as kafka:
                return await work(LetterBox(kafka))
        except (AppError, CouldNotCheck, NoAnswer) as error:
            raise StackError(str(error)) from error
        finally:
            await telemetry.shut_down(provider, SPANS_S)
            telemetry.setup("fc", None, 0.0)

    return asyncio.run(connected())


@app.command("ls")
def list_letters(
    topic: Of = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Include handled letters, with operator, time and reason.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the dead letters that are not handled, oldest first."""

    async def listed(box: LetterBox) -> list[Item]:
        return (await box.look([source_topic(topic)] if topic else PRODUCERS, handled=everything)).items

    items = run(listed)
    if as_json:
        output.put_json(_json(item) for item in items)
        return
    output.put_rows((*COLUMNS, *HANDLED) if everything else COLUMNS, [_row(item, handled=everything) for item in items])
    open_ = sum(item.handled is None for item in items)
    output.say(f"[bold]{open_} open[/]" + (f", {len(items) - open_} handled" if everything else ""))


def _row(item: Item, *, handled: bool) -> list[object]:
    fields = letter_json(item.letter)
    fields["failed at"] = output.moment(_time(fields["failed_at"]))
    row = [fields["order_id"] if column == "order" else fields[column] for column in COLUMNS]
    if not handled:
        return row
    entry = item.handled
    return [*row, *((entry.action, entry.by, output.moment(entry.at), entry.why) if entry else ("open", *[None] * 3))]


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _json(item: Item) -> dict[str, Any]:
    return letter_json(item.letter) | {"handled": item.handled.as_json() if item.handled else None}


@app.command("show")
def show_letter(
    topic: Annotated[str, typer.Argument(help="The topic, with or without .dlq.")],
    place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="The place of the letter.")],
    as_json: Json = False,
) -> None:
    """Show the key, headers and value of a dead letter, and whether it is handled."""
    item = run(lambda box: box.pick(source_topic(topic), place, READ_S))
    letter = item.letter
    key, value = (None if part is None else part.decode("utf-8", "replace") for part in (letter.key, letter.value))
    headers = [(name, data.decode("utf-8", "replace")) for name, data in letter.headers]
    if as_json:
        output.put_json([_json(item) | {"key": key, "value": value, "headers": [list(header) for header in headers]}])
        return
    rows: list[tuple[str, object]] = [("topic", letter.topic), ("place", letter.place), ("event", letter.event_id)]
    rows += [("key", key), *headers, ("value", value)]
    if entry := item.handled:
        rows.append(("handled", f"{entry.action} by {entry.by} at {output.moment(entry.at)}: {entry.why}"))
    output.put_rows(("field", "content"), rows)
    if not item.handled and (refusal := letter.refusal()):
        output.say(f"[yellow]It is not replayed without --force:[/] {escape(refusal)}")


@app.command()
def replay(
    reason: Reason,
    topic: Topic = None,
    place: Place = None,
    every: Every = False,
    of: Of = None,
    by: By = None,
    force: Force = False,
    yes: Yes = False,
) -> None:
    """Send dead letters to their topic again with their event id, so that none is applied twice."""
    command = LetterCommand(Action.REPLAYED, by or operator(), reason, force)
    _carry_out(command, topic, place, of if every else None, dry=not yes)


@app.command()
def discard(
    reason: Reason,
    topic: Topic = None,
    place: Place = None,
    every: Every = False,
    of: Of = None,
    by: By = None,
    force: Force = False,
    yes: Yes = False,
) -> None:
    """Mark dead letters as handled: they stay in Kafka and in the journal, and `ls` no longer lists them."""
    command = LetterCommand(Action.DISCARDED, by or operator(), reason, force)
    _carry_out(command, topic, place, of if every else None, dry=not yes)


def _carry_out(command: LetterCommand, topic: str | None, place: str | None, all_of: str | None, *, dry: bool) -> None:
    if not command.why.strip():
        raise StackError("--reason is empty: the journal needs a reason")
    if (topic is None or place is None) == (all_of is None):
        raise StackError("name one letter as TOPIC PARTITION:OFFSET, or all of a topic with --all --topic TOPIC")

    steps: list[LetterStep] = []

    async def work(box: LetterBox) -> None:
        if all_of is not None:
            items = (await box.look([source_topic(all_of)])).items
        else:
            items = [await box.pick(source_topic(topic or ""), place or "", READ_S)]
        await _take_steps(box, items, command, steps, dry=dry)

    verb = f"would be {command.action}" if dry else str(command.action)
    try:
        run(work)
    except BaseException:
        if steps:
            _report(steps, verb, dry=dry)
        raise
    _report(steps, verb, dry=dry)
    if _is_refused(steps):
        raise typer.Exit(1)


async def _take_steps(
    box: LetterBox, items: list[Item], command: LetterCommand, steps: list[LetterStep], *, dry: bool
) -> None:
    """Add each step to `steps` when it is done: an error leaves those before it there."""
    if dry:
        steps += plan(items, command)
        return
    async for step in carry_out(box, items, command):
        steps.append(step)


def _is_refused(steps: list[LetterStep]) -> bool:
    return bool(steps) and all(step.refusal is not None for step in steps)


def _report(steps: list[LetterStep], verb: str, *, dry: bool) -> None:
    rows = []
    for step in steps:
        letter = step.letter
        result = f"refused: {step.refusal}" if step.refusal else verb
        rows.append((letter.topic, letter.place, letter.order_id, letter.reason, result))
    output.put_rows(("topic", "place", "order", "reason", "result"), rows)
    counts = Counter(step.refusal is None for step in steps)
    refused = f", {counts[False]} refused (--force overrides)" if counts[False] else ""
    output.say(f"[bold]{counts[True]} {verb}[/]{refused}" + (". Nothing was changed: --yes does it." if dry else ""))
