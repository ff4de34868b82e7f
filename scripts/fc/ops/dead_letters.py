"""Lists, replays and discards dead letters. Kafka can't delete one: a letter is handled when the journal has it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from chassis import telemetry
from chassis.kafka.topics import dlq
from contracts.topics import PRODUCERS
from fc.ops import journal
from fc.ops.journal import Action, Entry, Journal
from fc.ops.letters import Letter, read_place
from fc.ops.log import Log
from fc.stack.errors import StackError


@dataclass(frozen=True, slots=True)
class Item:
    """A letter and the entry of the journal about it, if any."""

    letter: Letter
    handled: Entry | None


@dataclass(frozen=True, slots=True)
class Step:
    """The action for a letter, or the reason why it is refused."""

    letter: Letter
    action: Action
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Order:
    """An operator's request: `force` overrides refusals, `dry` changes nothing."""

    action: Action
    by: str
    why: str
    force: bool = False
    dry: bool = True


async def find(log: Log, topics: Iterable[str] = PRODUCERS, *, handled: bool = False) -> list[Item]:
    """Read the dead letters of topics, oldest first; `handled` includes those in the journal."""
    entries = await Journal.kept(log)
    letters = [Letter.of(record) for topic in topics for record in await log.read(dlq(topic))]
    items = [Item(letter, entries.entry(letter)) for letter in sorted(letters, key=lambda letter: letter.time)]
    return [item for item in items if handled or item.handled is None]


async def pick(log: Log, topic: str, place: str) -> Item:
    """Read one dead letter. Raises StackError when the topic does not hold it."""
    record = await log.record(dlq(topic), *read_place(place))
    if record is None:
        raise StackError(f"{dlq(topic)} holds no letter at {place}; `fc dlq ls --topic {topic} --all` lists them")
    letter = Letter.of(record)
    return Item(letter, (await Journal.kept(log)).entry(letter))


async def carry_out(log: Log, items: Sequence[Item], order: Order) -> list[Step]:
    """Carry out the action on each letter, and return the steps; with a dry order only return them.

    A replay is sent before it is written to the journal. If the process dies in between, the next replay sends the same
    event again and the inbox absorbs it; in the other order the event would be lost.
    """
    steps = []
    for item in items:
        step = Step(item.letter, order.action, _refusal(item, order))
        if not order.dry and step.refusal is None:
            await _do(log, item.letter, order)
        steps.append(step)
    return steps


def _refusal(item: Item, order: Order) -> str | None:
    letter, replaying = item.letter, order.action is Action.REPLAYED
    if replaying and (letter.content_is_gone or (letter.key is None and not letter.value)):
        return "it is without its content: there is nothing to send, also not with --force"
    if order.force:
        return None
    if entry := item.handled:
        return f"{entry.action} already by {entry.by}: {entry.why}"
    return letter.refusal() if replaying else None


async def _do(log: Log, letter: Letter, order: Order) -> None:
    now = datetime.now(UTC)
    if order.action is Action.REPLAYED:
        with telemetry.tracing.span(f"replay {letter.topic}"):
            telemetry.about_order(f"order-{letter.order_id}")
            await log.send(letter.topic, letter.key, letter.value, letter.headers_again(order.by, order.why, now))
    await journal.append(log, Entry.about(letter, order.action, order.by, now, order.why))
