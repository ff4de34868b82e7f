"""Asks several sources, and collects why some did not answer: the rest goes on."""

from collections.abc import Awaitable
from typing import TypeVar

from console.client.admin_api import NoAnswer

T = TypeVar("T")


class SourceErrors:
    """The sources that did not answer, each named once with the reason."""

    def __init__(self) -> None:
        self.unread: dict[str, str] = {}

    async def read(self, name: str, answer: Awaitable[T], default: T) -> T:
        """Return the answer, or `default` if the source of this name does not answer."""
        try:
            return await answer
        except NoAnswer as error:
            self.unread[name] = str(error)
            return default
