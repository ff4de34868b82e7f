"""Who watches an audit go on."""

from typing import Protocol


class Watch(Protocol):
    """Shown what is being done; `total` is None where nobody knows how much it is."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin another part of the work."""

    def advance(self, count: int) -> None:
        """Tell that so much more of the part is done."""


class Unwatched:
    """Shows nothing to nobody."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Go on."""

    def advance(self, count: int) -> None:
        """Go on."""
