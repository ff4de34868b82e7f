"""The imports between rooms: which arrows there are, which run in circles, and how many of them run upwards.

A room is what lies directly below a container: below `chassis` a package or a module, below the whole house a package.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from lint.sources import Source, imports

Arrow = tuple[str, str]

_MAX_TRIED = 200_000


@dataclass(frozen=True)
class Rooms:
    """The rooms of a container and the imports between them, each pair of rooms counted once per direction."""

    names: frozenset[str]
    arrows: frozenset[Arrow]

    @property
    def circles(self) -> list[frozenset[str]]:
        """The groups of rooms of which each can be reached from each."""
        return [group for group in _groups(self.names, self.arrows) if len(group) > 1]

    @property
    def upward(self) -> list[Arrow]:
        """The fewest arrows without which no circle is left: those that run upwards in the best order of floors."""
        return [arrow for group in self.circles for arrow in _fewest(_within(self.arrows, group))]

    @property
    def floors(self) -> int:
        """The rooms on the longest way down, upward arrows left out."""
        below = _below(self.arrows - set(self.upward))
        heights: dict[str, int] = {}

        def height(room: str) -> int:
            if room not in heights:
                heights[room] = 1 + max(map(height, below.get(room, ())), default=0)
            return heights[room]

        return max(map(height, self.names), default=0)


def rooms(sources: Iterable[Source], container: str) -> Rooms:
    """Find the rooms below a dotted name and the imports between them; an empty name means the whole house."""
    prefix = f"{container}." if container else ""
    depth = prefix.count(".")
    inside = [source for source in sources if f"{source.module}.".startswith(prefix) and source.group != "tests"]
    within = {source.module.split(".")[depth] for source in inside if source.module.count(".") >= depth}
    arrows = set()
    for source in inside:
        room = source.module.split(".")[depth] if source.module.count(".") >= depth else None
        for name in imports(source.tree):
            target = name.split(".")[depth] if name.startswith(prefix) and name.count(".") >= depth else None
            if room and target in within and target != room:
                arrows.add((room, target))
    return Rooms(frozenset(within), frozenset(arrows))


def _below(arrows: Iterable[Arrow]) -> dict[str, set[str]]:
    below: dict[str, set[str]] = {}
    for upper, lower in arrows:
        below.setdefault(upper, set()).add(lower)
    return below


def _reach(start: str, below: Mapping[str, set[str]]) -> set[str]:
    """Return the rooms that can be reached from a room by one arrow or more."""
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for room in below.get(waiting.pop(), ()):
            if room not in reached:
                reached.add(room)
                waiting.append(room)
    return reached


def _groups(names: Iterable[str], arrows: Iterable[Arrow]) -> set[frozenset[str]]:
    """Return the strongly connected components."""
    below = _below(arrows)
    reach = {name: _reach(name, below) for name in names}
    return {frozenset({name} | {other for other in reach[name] if name in reach[other]}) for name in reach}


def _within(arrows: Iterable[Arrow], group: frozenset[str]) -> list[Arrow]:
    return sorted(arrow for arrow in arrows if group.issuperset(arrow))


def _is_free_of_circles(arrows: Iterable[Arrow]) -> bool:
    below = _below(arrows)
    return all(room not in _reach(room, below) for room in below)


def _fewest(arrows: list[Arrow]) -> tuple[Arrow, ...]:
    """Try all sets of arrows, the smallest first. Raises ValueError when that would take too long."""
    tried = 0
    for size in range(1, len(arrows) + 1):
        for removed in combinations(arrows, size):
            if _is_free_of_circles(set(arrows) - set(removed)):
                return removed
            tried += 1
            if tried > _MAX_TRIED:
                raise ValueError(f"too many circles to count the upward imports: {arrows}")
    return ()
