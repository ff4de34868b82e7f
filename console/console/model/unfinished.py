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
    """What is open: orders, payments, events on their way, callbacks, money and dead letters."""

    # By the services' clock.
    now: datetime
    # When each open order was placed.
    orders: dict[int, datetime] = field(default_factory=dict)
    # The payments of open orders, each with its request for an invoice. None: paymentfc has no payment for the order.
    # No key: paymentfc was not asked about the order, or did not answer.
    payments: dict[int, Row | None] = field(default_factory=dict)
    # Events in an outbox, each after the service that publishes it.
    unsent: Sequence[tuple[str, Row]] = ()
    # Events that were published, each before the service that has not applied it.
    unapplied: Sequence[tuple[Row, str]] = ()
    # Callbacks of Xendit that wait for their payment.
    callbacks: Sequence[Row] = ()
    # Callbacks that Xendit has still to confirm.
    confirmations: Sequence[Row] = ()
    # Anomalies of payments that are not resolved, and those that hold their order all the same.
    anomalies: Sequence[Row] = ()
    # Refunds that are not done.
    refunds: Sequence[Row] = ()
    # Invoices that have still to be ended at Xendit.
    closings: Sequence[Row] = ()
    # Dead letters that are neither handled nor applied since.
    letters: Sequence[DeadLetter] = ()
    # The sources that did not answer, each with the reason.
    unread: dict[str, str] = field(default_factory=dict)
    # A sentence for each list that was not read to its end.
    cut: tuple[str, ...] = ()
    # How far `now` is ahead of Kafka's clock, which the times of letters are of.
    ahead: timedelta = timedelta(0)
    # The number of dead letters that were not read.
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
