"""Lines over fifteen minutes as paths of SVG. Pure: from points to text that a template puts into `d`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from console.model.readings import Point
from console.model.ring import KEPT_S

# Colours and dashes of the style sheet.
MAX_LINES = 6
MINUTES = (15, 10, 5, 0)


@dataclass(frozen=True, slots=True)
class Line:
    """One line, oldest point first; None is a gap."""

    label: str
    points: Sequence[Point]

    @property
    def known(self) -> list[float]:
        return [value for _, value in self.points if value is not None]

    @property
    def last(self) -> float | None:
        return self.points[-1][1] if self.points else None

    @property
    def highest(self) -> float | None:
        return max(self.known, default=None)


@dataclass(frozen=True)
class Chart:
    """Lines with one axis. `write` writes a value, `now` is the right edge (seconds since 1970).

    The axis ends at a round number of units.
    """

    name: str
    title: str
    lines: Sequence[Line]
    write: Callable[[float | None], str]
    now: float
    unit: float = 1.0
    width: int = 400
    height: int = 120

    @cached_property
    def top(self) -> float:
        """The value of the upper edge: a round number at or above all values."""
        highest = max((value for line in self.lines for value in line.known), default=0.0)
        return _round_up(highest / self.unit) * self.unit

    @property
    def is_empty(self) -> bool:
        return not any(line.known for line in self.lines)

    @property
    def shown(self) -> Sequence[Line]:
        return self.lines[:MAX_LINES]

    def path(self, line: Line) -> str:
        """Return the path of a line; whole pixels, and the middle of a level stretch left out."""
        return " ".join(self._pieces(line))

    def _pieces(self, line: Line) -> Iterator[str]:
        places = [None if value is None else (self._x(at), self._y(value)) for at, value in line.points]
        for index, place in enumerate(places):
            before = places[index - 1] if index else None
            after = places[index + 1] if index + 1 < len(places) else None
            if place is None:
                continue
            if before is None:
                yield f"M{place[0]} {place[1]}" if after else f"M{place[0]} {place[1]}h1"
            elif after is None or not before[1] == place[1] == after[1]:
                yield f"L{place[0]} {place[1]}"

    def area(self, line: Line) -> str:
        """Return the path of the ground under a line without gaps; empty for any other."""
        if not line.points or len(line.known) != len(line.points) or len(line.points) < 2:
            return ""
        first, last = self._x(line.points[0][0]), self._x(line.points[-1][0])
        return f"{self.path(line)}L{last} {self.height}L{first} {self.height}Z"

    def _x(self, at: float) -> int:
        return round(max(0.0, 1 - (self.now - at) / KEPT_S) * self.width)

    def _y(self, value: float) -> int:
        return round(self.height - value / self.top * (self.height - 2)) if self.top else self.height

    @property
    def marks(self) -> list[tuple[int, str]]:
        """The horizontal lines: their places and values."""
        marks = [(self._y(self.top * share), self.write(self.top * share)) for share in (1.0, 0.5, 0.0)]
        return marks if len({text for _, text in marks}) == len(marks) else [marks[0], marks[2]]

    @property
    def times(self) -> list[tuple[int, str]]:
        """The times below: their places, and how long ago they are."""
        return [(round((1 - m / MINUTES[0]) * self.width), f"-{m} min" if m else "now") for m in MINUTES]


def _round_up(value: float) -> float:
    if value <= 0:
        return 1.0
    size = 10.0 ** (len(f"{value:.0f}") - 1) if value >= 1 else 1.0
    while value < size:
        size /= 10
    return next(step * size for step in (1, 1.5, 2, 3, 5, 7.5, 10) if value <= step * size * (1 + 1e-9))
