"""Replays and discards dead letters. Kafka can't delete one: a letter is handled when the journal has it."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from chassis import telemetry
from chassis.errors import Invalid, NotFound
from console.client.admin_api import NoAnswer
from console.client.kafka_clients import SEND_S
from console.client.letter_box import ACTION_S
from console.model.items import Item
from console.model.journal import CLAIMED_FOR, Action, Entry
from console.model.letters import Letter

# How old a claim may be when the message goes out: that takes SEND_S at most, and its entry ACTION_S and SEND_S.
SENT_WITHIN = CLAIMED_FOR - timedelta(seconds=ACTION_S + 2 * SEND_S)


class Unnoted(NoAnswer):
    """A message was sent, and the journal does not say so."""


class LetterBox(Protocol):
    """Where letters are read, claimed, sent and noted. Each call raises NoAnswer when Kafka fails."""

    async def pick(self, topic: str, place: str) -> Item:
        """Return a letter with its value. Raises NotFound when the topic does not hold it."""

    async def claim(self, item: Item, by: str, why: str) -> str | None:
        """Say in the journal that `by` is about to handle a letter; return why it must not, if so."""

    async def send(self, letter: Letter, headers: list[tuple[str, bytes]]) -> None:
        """Send the message of a letter to its topic, and wait until Kafka has it. Raises Invalid when it refuses it."""

    async def note(self, entry: Entry) -> int:
        """Write an entry to the journal, and wait until Kafka has it."""


@dataclass(frozen=True, slots=True)
class LetterStep:
    """What is done with one letter, or why that is refused."""

    letter: Letter
    action: Action
    refusal: str | None


@dataclass(frozen=True, slots=True)
class LetterCommand:
    """What an operator wants done with letters; `force` overrides refusals."""

    action: Action
    by: str
    why: str
    force: bool = False


def plan(items: Iterable[Item], command: LetterCommand) -> list[LetterStep]:
    """Say what would be done with each letter, and change nothing."""
    return [LetterStep(item.letter, command.action, _refusal(item, command)) for item in items]


async def carry_out(box: LetterBox, items: Iterable[Item], command: LetterCommand) -> AsyncIterator[LetterStep]:
    """Carry out the action on one letter after the other, and yield each step when it is done.

    A replay is sent before it is written to the journal. If the process dies in between, the next replay sends the same
    event again and the inbox absorbs it; in the other order the event would be lost.

    A letter that is gone, or whose message Kafka refuses, is refused, and the next one is handled. Raises NoAnswer, and
    Unnoted for a message that was sent and not written to the journal.
    """
    for item in items:
        try:
            refusal = _refusal(item, command) or await _handle(box, item, command)
        except (Invalid, NotFound) as error:
            refusal = str(error)
        yield LetterStep(item.letter, command.action, refusal)


def _refusal(item: Item, command: LetterCommand) -> str | None:
    letter, replaying = item.letter, command.action is Action.REPLAYED
    if replaying and letter.content_is_gone:
        return "it is without its content: there is nothing to send, also not with --force"
    if busy := _busy(item):
        return busy
    if command.force:
        return None
    if item.handled:
        return str(item.handled)
    return letter.refusal() if replaying else None


def _busy(item: Item) -> str | None:
    return f"{item.claimed.by} is handling it: {item.claimed.why}" if item.claimed else None


async def _handle(box: LetterBox, item: Item, command: LetterCommand) -> str | None:
    """Handle the letter. Return why not, if another operator has handled it since it was listed."""
    found = await box.pick(item.letter.topic, item.letter.place)
    letter = found.letter
    if found.key != item.key:
        return "another letter is at its place now"
    if found.handled is not None and found.handled != item.handled:
        return str(found.handled)
    if busy := _busy(found):
        return busy
    claimed_at = datetime.now(UTC)
    if refusal := await box.claim(item, command.by, command.why):
        return refusal
    now = datetime.now(UTC)
    if now - claimed_at > SENT_WITHIN:
        return "Kafka was too slow: the claim could have ended before the letter was handled; try again"
    if command.action is Action.REPLAYED:
        with telemetry.tracing.span(f"replay {letter.topic}"):
            telemetry.about_order(f"order-{letter.order_id}")
            await box.send(letter, letter.headers_again(command.by, command.why, now))
    await _note(box, Entry.about(letter, command.action, command.by, now, command.why))
    return None


async def _note(box: LetterBox, entry: Entry) -> None:
    try:
        await box.note(entry)
    except Exception as error:
        if entry.action is not Action.REPLAYED:
            raise
        raise Unnoted(
            f"the message of {entry.topic} {entry.place} was sent, but the journal does not say so ({error}): "
            "the letter is still listed, and a further replay sends the same event"
        ) from error
