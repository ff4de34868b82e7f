"""Asks several sources. One that does not answer leaves its name and the reason, and the rest goes on."""

from collections.abc import Awaitable
from typing import TypeVar

from console.client.admin_api import NoAnswer

T = TypeVar("T")


class Asked:
    """The sources that did not answer, each named once; the others are still asked."""

    def __init__(self) -> None:
        self.unread: dict[str, str] = {}

    async def of(self, name: str, answer: Awaitable[T], otherwise: T) -> T:
        try:
            return await answer
        except NoAnswer as error:
            self.unread[name] = str(error)
            return otherwise
