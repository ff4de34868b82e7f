"""Consumer groups: how far each has come in each partition, and who works on it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """One partition of a group. `position` is None where nothing is committed, `member` where it is not assigned."""

    topic: str
    partition: int
    position: int | None
    end: int | None
    member: str | None

    @property
    def lag(self) -> int | None:
        return None if self.position is None or self.end is None else max(self.end - self.position, 0)


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group; `members` are client ids with their hosts."""

    name: str
    state: str
    members: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def lag(self) -> int:
        return sum(part.lag or 0 for part in self.parts)

    @property
    def is_left(self) -> bool:
        """Whether messages wait and the group has no member."""
        return bool(self.lag) and not self.members


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: how many partitions it has, how many records it keeps, and where it ends."""

    name: str
    partitions: int
    kept: int
    end: int

    @property
    def is_dead_letters(self) -> bool:
        return self.name.endswith(".dlq")
