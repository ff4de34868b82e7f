"""What can be done with dead letters: look, send again, put aside. Kafka can't delete one: handled is who is in the journal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from chassis.kafka.topics import dlq
from fc.ops import journal
from fc.ops.journal import Action, Entry, Journal
from fc.ops.letters import Letter, read_place
from fc.ops.log import Log
from fc.platform.topics import PUBLISHER
from fc.stack.errors import StackError


@dataclass(frozen=True, slots=True)
class Item:
    """A letter with what was done with it, if anything."""

    letter: Letter
    handled: Entry | None


@dataclass(frozen=True, slots=True)
class Step:
    """What is done, or would be, with a letter: `refusal` tells why nothing is."""

    letter: Letter
    action: Action
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Order:
    """What an operator wants done: by whom and why, also against a refusal (`force`), or only told (`dry`)."""

    action: Action
    by: str
    why: str
    force: bool = False
    dry: bool = True


async def find(log: Log, topics: Iterable[str] = PUBLISHER, *, handled: bool = False) -> list[Item]:
    """Read the dead letters of topics, oldest first; `handled` ones only when asked for."""
    kept = await Journal.kept(log)
    letters = [Letter.of(record) for topic in topics for record in await log.read(dlq(topic))]
    items = [Item(letter, kept.entry(letter)) for letter in sorted(letters, key=lambda letter: letter.time)]
    return [item for item in items if handled or item.handled is None]


async def pick(log: Log, topic: str, place: str) -> Item:
    """Read one dead letter. Raises StackError when there is none."""
    record = await log.record(dlq(topic), *read_place(place))
    if record is None:
        raise StackError(f"{dlq(topic)} holds no letter at {place}; `fc dlq ls --topic {topic} --all` lists them")
    letter = Letter.of(record)
    return Item(letter, (await Journal.kept(log)).entry(letter))


async def carry_out(log: Log, items: Sequence[Item], order: Order) -> list[Step]:
    """Do what is wanted with each letter, or tell only what would be done.

    A replay is sent before it is noted: should this process die in between, it is sent once more and absorbed by the
    inbox, while the other way round it would be lost.
    """
    steps = []
    for item in items:
        step = Step(item.letter, order.action, None if order.force else _refusal(item, order.action))
        if not order.dry and step.refusal is None:
            await _do(log, item.letter, order)
        steps.append(step)
    return steps


def _refusal(item: Item, action: Action) -> str | None:
    if done := item.handled:
        return f"{done.action} already by {done.by}: {done.why}"
    return item.letter.refusal() if action is Action.REPLAYED else None


async def _do(log: Log, letter: Letter, order: Order) -> None:
    now = datetime.now(UTC)
    if order.action is Action.REPLAYED:
        if letter.key is None and not letter.value:
            raise StackError(f"{letter.topic} {letter.place} has neither key nor value: there is nothing to send")
        await log.send(letter.topic, letter.key, letter.value, letter.headers_again(order.by, order.why, now))
    await journal.append(log, Entry.about(letter, order.action, order.by, now, order.why))
