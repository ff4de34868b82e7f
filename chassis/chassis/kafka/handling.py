"""The forms of a handler: a function of one message, or also one of several messages in one transaction."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from chassis.events import Message

Handler = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class BatchHandler:
    """A handler with two forms.

    `one` applies a message. `many` applies messages in their order, with the effect of `one` for each, in one
    transaction: it has applied all of them, or, when it raises, none. It says nothing about which of them is to blame.
    """

    one: Handler
    many: Callable[[Sequence[Message]], Awaitable[None]]

    async def __call__(self, message: Message) -> None:
        await self.one(message)
