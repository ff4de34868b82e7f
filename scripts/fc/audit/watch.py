"""The progress of an audit, for whoever displays it."""

from typing import Protocol


class Watch(Protocol):
    """Receives the progress; `total` is None where it is unknown beforehand."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin the next stage of the work."""

    def advance(self, count: int) -> None:
        """Add to the finished part of the stage."""


class Unwatched:
    """Displays nothing."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Ignore the stage."""

    def advance(self, count: int) -> None:
        """Ignore the progress."""
