"""Replays and discards dead letters. Kafka can't delete one: a letter is handled when the journal has it."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from chassis import telemetry
from console.model.items import Item
from console.model.journal import Action, Entry
from console.model.letters import Letter


class LetterBox(Protocol):
    """Where letters are read, claimed, sent and noted. Each call raises NoAnswer when Kafka fails."""

    async def pick(self, topic: str, place: str) -> Item:
        """Return a letter with its value. Raises NotFound when the topic does not hold it."""

    async def claim(self, item: Item, by: str, why: str) -> str | None:
        """Say in the journal that `by` is about to handle a letter; return why it must not, if so."""

    async def send(self, letter: Letter, headers: list[tuple[str, bytes]]) -> None:
        """Send the message of a letter to its topic, and wait until Kafka has it."""

    async def note(self, entry: Entry) -> int:
        """Write an entry to the journal, and wait until Kafka has it."""


@dataclass(frozen=True, slots=True)
class Step:
    """The action for a letter, or the reason why it is refused."""

    letter: Letter
    action: Action
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Order:
    """An operator's request; `force` overrides refusals."""

    action: Action
    by: str
    why: str
    force: bool = False


def plan(items: Iterable[Item], order: Order) -> list[Step]:
    """Say what would be done with each letter, and change nothing."""
    return [Step(item.letter, order.action, _refusal(item, order)) for item in items]


async def carry_out(box: LetterBox, items: Iterable[Item], order: Order) -> AsyncIterator[Step]:
    """Carry out the action on one letter after the other, and yield each step when it is done.

    A replay is sent before it is written to the journal. If the process dies in between, the next replay sends the same
    event again and the inbox absorbs it; in the other order the event would be lost.
    """
    for item in items:
        refusal = _refusal(item, order) or await _handle(box, item, order)
        yield Step(item.letter, order.action, refusal)


def _refusal(item: Item, order: Order) -> str | None:
    letter, replaying = item.letter, order.action is Action.REPLAYED
    if replaying and letter.content_is_gone:
        return "it is without its content: there is nothing to send, also not with --force"
    if busy := _busy(item):
        return busy
    if order.force:
        return None
    if item.handled:
        return str(item.handled)
    return letter.refusal() if replaying else None


def _busy(item: Item) -> str | None:
    return f"{item.claimed.by} is handling it: {item.claimed.why}" if item.claimed else None


async def _handle(box: LetterBox, item: Item, order: Order) -> str | None:
    """Handle the letter. Return why not, if another operator has handled it since it was listed."""
    found = await box.pick(item.letter.topic, item.letter.place)
    letter = found.letter
    if found.key != item.key:
        return "another letter is at its place now"
    if found.handled is not None and found.handled != item.handled:
        return str(found.handled)
    if refusal := _busy(found) or await box.claim(item, order.by, order.why):
        return refusal
    now = datetime.now(UTC)
    if order.action is Action.REPLAYED:
        with telemetry.tracing.span(f"replay {letter.topic}"):
            telemetry.about_order(f"order-{letter.order_id}")
            await box.send(letter, letter.headers_again(order.by, order.why, now))
    await box.note(Entry.about(letter, order.action, order.by, now, order.why))
    return None
