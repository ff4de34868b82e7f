"""What is not finished, of one order or of all: the input of the waits, from whatever source its rows come."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

Row = Mapping[str, Any]
"""A row of an answer or of a table. Its times are datetimes."""

REFUNDED = frozenset({"paid_after_close", "paid_twice"})
WRONG_MONEY = frozenset({"amount_mismatch", "currency_mismatch"})
OPEN_ORDER = frozenset({"created", "processing"})
OPEN_REFUND = ("DUE", "REQUESTED", "FAILED", "MANUAL")
_IS_TIME = re.compile("(_at|_time|_until|_after|moment)$")


class DeadLetter(Protocol):
    """A dead letter, in so far as an order waits for it. `topic` is the one that it came from."""

    @property
    def topic(self) -> str:
        """The topic of the message."""

    @property
    def place(self) -> str:
        """`PARTITION:OFFSET` on the dead letter topic."""

    @property
    def time(self) -> datetime:
        """When it was written."""

    @property
    def order_id(self) -> int | None:
        """The order that its key names."""

    @property
    def reason(self) -> str:
        """The code of its failure."""

    @property
    def consumer(self) -> str:
        """The service that could not apply it; empty when it is not said."""

    def refusal(self) -> str | None:
        """Return why a replay would only produce another dead letter; None when it may succeed."""


@dataclass(slots=True)
class Unfinished:
    """The rows. `orders` are open ones, with the time when each was placed.

    `payments` are those of open orders, with their requests for an invoice; None stands for an order that has none, and
    of one that is missing nothing is known. `unsent` has (service, event), `unapplied` (event, consumer). `unread`
    names the sources that did not answer, each with the reason; `cut` says what was not read to its end, of which
    `unread_letters` is the number of dead letters. `ahead` is by how much `now` is ahead of the clock of Kafka, which
    the times of letters are of.
    """

    now: datetime
    orders: dict[int, datetime] = field(default_factory=dict)
    payments: dict[int, Row | None] = field(default_factory=dict)
    unsent: Sequence[tuple[str, Row]] = ()
    unapplied: Sequence[tuple[Row, str]] = ()
    callbacks: Sequence[Row] = ()
    confirmations: Sequence[Row] = ()
    anomalies: Sequence[Row] = ()
    refunds: Sequence[Row] = ()
    closings: Sequence[Row] = ()
    letters: Sequence[DeadLetter] = ()
    unread: dict[str, str] = field(default_factory=dict)
    cut: tuple[str, ...] = ()
    ahead: timedelta = timedelta(0)
    unread_letters: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether every source answered and was read to its end."""
        return not self.unread and not self.cut


def timed(row: Mapping[str, Any]) -> Row:
    """Return a row of an answer with its times as datetimes."""
    return {
        name: datetime.fromisoformat(value) if isinstance(value, str) and _IS_TIME.search(name) else value
        for name, value in row.items()
    }
