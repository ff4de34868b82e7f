"""What a row of the table is made of, and the rows that are measured side by side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.speed.figures import Sample
from bench.speed.pace import Pace
from bench.speed.side import Side

Measure = Callable[[Side, Pace], Sample]
Prepare = Callable[[Side, Pace], None]
Floor = Callable[[Side, Pace], float]


def nothing(_side: Side, _pace: Pace) -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is measured, in each round anew or once.

    `service` is the one that `make profile` looks into, `floor` the one of its group that the rate is a share of.
    """

    name: str
    measure: Measure
    service: str
    floor: str = ""
    once: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Rows and floors that are measured in turn, round by round.

    `prepare` brings a stack into the state that its rows need, `finish` leaves it fit for the next group. `orders`: it
    leaves orders, which the audit then looks at.
    """

    rows: Sequence[Row]
    prepare: Prepare = nothing
    finish: Prepare = nothing
    floors: Mapping[str, Floor] = field(default_factory=dict)
    orders: bool = False
