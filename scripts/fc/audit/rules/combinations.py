"""The valid combinations of the states of order, payment and stock: at rest, and with messages in flight."""

from collections.abc import Iterable
from enum import StrEnum
from itertools import product

from fc.audit.model import LedgerRow, Payment

CREATED, PROCESSING, COMPLETED, CANCELLED, FAILED = range(5)
STATUS_NAMES = ("created", "processing", "completed", "cancelled", "failed")

STEPS = frozenset(
    {
        (CREATED, COMPLETED, "paid"),
        (CREATED, CANCELLED, "payment_failed"),
        (CREATED, CANCELLED, "stock_rejected"),
        (CREATED, CANCELLED, "customer"),
        (COMPLETED, FAILED, "payment_failed"),
        (COMPLETED, FAILED, "stock_rejected"),
        (CANCELLED, FAILED, "paid"),
    }
)
"""(from, to, cause) of every allowed step of an order."""


class Pay(StrEnum):
    """The states of a payment that matter to its order."""

    MISSING = "missing"
    PENDING = "PENDING"
    PAID = "PAID"
    # The same, of an order that its customer has cancelled.
    MISSING_CANCELLED = "missing, order cancelled"
    PENDING_CANCELLED = "PENDING, order cancelled"
    PAID_CANCELLED = "PAID, order cancelled"
    CLOSED = "closed unpaid"
    CLOSED_LATE = "closed unpaid, then paid"
    REJECTED = "closed, stock rejected"
    REJECTED_LATE = "closed, stock rejected, then paid"


class Stock(StrEnum):
    """The ledger rows of an order, which change state together."""

    NONE = "no ledger row"
    TAKEN = "TAKEN"
    RELEASED = "RELEASED"
    TOMBSTONE = "TOMBSTONE"
    REJECTED = "REJECTED"
    MIXED = "different states"


Triple = tuple[int, Pay, Stock]

SETTLED: frozenset[Triple] = frozenset(
    {
        (CREATED, Pay.PENDING, Stock.TAKEN),
        (COMPLETED, Pay.PAID, Stock.TAKEN),
        (CANCELLED, Pay.CLOSED, Stock.RELEASED),
        # The rollback overtook stock.updated.
        (CANCELLED, Pay.CLOSED, Stock.TOMBSTONE),
        # The payment had failed before stock.rejected arrived.
        (CANCELLED, Pay.CLOSED, Stock.REJECTED),
        (CANCELLED, Pay.REJECTED, Stock.REJECTED),
        # Money was received for an order without stock: a refund is due.
        (FAILED, Pay.PAID, Stock.REJECTED),
        (FAILED, Pay.PAID_CANCELLED, Stock.RELEASED),
        (FAILED, Pay.PAID_CANCELLED, Stock.TOMBSTONE),
        (FAILED, Pay.PAID_CANCELLED, Stock.REJECTED),
        (FAILED, Pay.CLOSED_LATE, Stock.RELEASED),
        (FAILED, Pay.CLOSED_LATE, Stock.TOMBSTONE),
        (FAILED, Pay.CLOSED_LATE, Stock.REJECTED),
        (FAILED, Pay.REJECTED_LATE, Stock.REJECTED),
    }
)
"""All combinations of an order at rest; the first one lasts until its payment ends."""

_LATE = (Pay.CLOSED_LATE, Pay.REJECTED_LATE)
_CANCELLED = {
    Pay.MISSING: Pay.MISSING_CANCELLED,
    Pay.PENDING: Pay.PENDING_CANCELLED,
    Pay.PAID: Pay.PAID_CANCELLED,
}
_OF_CUSTOMER = tuple(_CANCELLED.values())
_BEFORE_ROLLBACK = (Stock.NONE, Stock.TAKEN, Stock.REJECTED)
_ANY_STOCK = (*_BEFORE_ROLLBACK, Stock.RELEASED, Stock.TOMBSTONE)
_NEEDS_REJECTION = (Pay.REJECTED, Pay.REJECTED_LATE)


def _passing() -> Iterable[Triple]:
    yield from product((CREATED,), (pay for pay in Pay if pay not in _OF_CUSTOMER), _BEFORE_ROLLBACK)
    yield from product((COMPLETED,), (Pay.PAID, *_LATE), _BEFORE_ROLLBACK)
    yield from product((CANCELLED,), (Pay.CLOSED, Pay.REJECTED, *_LATE), _ANY_STOCK)
    yield from product((CANCELLED,), _OF_CUSTOMER, _ANY_STOCK)
    yield from product((FAILED,), (Pay.PAID_CANCELLED,), _ANY_STOCK)
    # stock.rejected reached the order first.
    yield from product((CANCELLED,), (Pay.MISSING, Pay.PENDING, Pay.PAID), (Stock.REJECTED,))
    yield from product((FAILED,), _LATE, _ANY_STOCK)


PASSING: frozenset[Triple] = frozenset(
    triple for triple in _passing() if triple[1] not in _NEEDS_REJECTION or triple[2] is Stock.REJECTED
)
"""The combinations of an order with messages in flight, in whatever order they arrive."""


def pay_state(payment: Payment | None, *, cancelled: bool = False) -> Pay:
    """Return the state of a payment, `cancelled` says whether the customer has cancelled its order."""
    if payment is None or not payment.is_closed:
        pay = Pay(payment.status) if payment else Pay.MISSING
        return _CANCELLED[pay] if cancelled else pay
    if payment.reason == "stock_rejected":
        return Pay.REJECTED_LATE if payment.late_paid_at else Pay.REJECTED
    return Pay.CLOSED_LATE if payment.late_paid_at else Pay.CLOSED


def stock_state(rows: Iterable[LedgerRow]) -> Stock:
    states = {row.state for row in rows}
    if not states:
        return Stock.NONE
    return Stock(states.pop()) if len(states) == 1 else Stock.MIXED
