"""One row of a timeline."""

from dataclasses import dataclass
from datetime import datetime

from console.model.events import OrderEvent


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `key` names it among the rows of an order; `causes` are the keys of rows that come before it.

    `at` is None for what has not happened; `clocks_ms` is by how much its clock is before that of a cause.
    """

    key: tuple[str, ...]
    lane: str
    title: str
    at: datetime | None = None
    detail: str = ""
    hollow: bool = False
    event: OrderEvent | None = None
    causes: frozenset[tuple[str, ...]] = frozenset()
    clocks_ms: float = 0.0
    after_ms: float | None = None


moment = datetime.fromisoformat
