"""Products, categories and the rule of the stock ledger: pure objects and functions, no I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

MAX_STOCK = 2**31 - 1
NO_PRODUCT = 0
"""The product id of a tombstone whose rollback named no products."""


@dataclass(frozen=True, slots=True)
class Product:
    """A product on sale with the category that it is in; `stock` is what nobody has ordered yet."""

    id: int
    name: str
    description: str
    price: Decimal
    stock: int
    category_id: int
    category_name: str


@dataclass(frozen=True, slots=True)
class Category:
    """A category; names are unique without case."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Line:
    """How many units of a product an order speaks of."""

    product_id: int
    quantity: int


class LedgerState(StrEnum):
    """What became of an order's claim on a product; every state but TAKEN is final."""

    TAKEN = "TAKEN"
    RELEASED = "RELEASED"
    TOMBSTONE = "TOMBSTONE"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the ledger, of which there is one per order and product."""

    product_id: int
    quantity: int
    state: LedgerState


@dataclass(frozen=True, slots=True)
class Decision:
    """What a stock event does: ledger rows to write, changes of free stock by product id, and why it was refused."""

    entries: Sequence[Entry] = ()
    changes: Mapping[int, int] = field(default_factory=dict)
    refusal: str | None = None


NOTHING = Decision()


def merge(lines: Iterable[Line]) -> list[Line]:
    """Sum the lines per product, sorted by product id: the order in which rows are locked."""
    total: dict[int, int] = {}
    for line in lines:
        total[line.product_id] = total.get(line.product_id, 0) + line.quantity
    return [Line(product_id, total[product_id]) for product_id in sorted(total)]


def decide_take(ledger: Sequence[Entry], wanted: Sequence[Line], free: Mapping[int, int]) -> Decision:
    """Decide on stock.updated: all lines or none, and only for an order that the ledger does not know.

    `wanted` is merged; `free` is the free stock by product id, without the products that don't exist.
    """
    if ledger:
        return NOTHING
    refusal = _refusal(wanted, free)
    state = LedgerState.TAKEN if refusal is None else LedgerState.REJECTED
    entries = [Entry(line.product_id, line.quantity, state) for line in wanted]
    changes = {line.product_id: -line.quantity for line in wanted} if refusal is None else {}
    return Decision(entries, changes, refusal)


def decide_return(ledger: Sequence[Entry], named: Sequence[Line]) -> Decision:
    """Decide on stock.rollback: give back what the order holds, which the ledger knows and the message does not.

    An order without any ledger row gets tombstones, so that its stock.updated, still on its way, takes nothing.
    `named` is merged.
    """
    if not ledger:
        lines = named or [Line(NO_PRODUCT, 0)]
        return Decision([Entry(line.product_id, line.quantity, LedgerState.TOMBSTONE) for line in lines])
    held = [entry for entry in ledger if entry.state is LedgerState.TAKEN]
    return Decision(
        [Entry(entry.product_id, entry.quantity, LedgerState.RELEASED) for entry in held],
        {entry.product_id: entry.quantity for entry in held},
    )


def _refusal(wanted: Sequence[Line], free: Mapping[int, int]) -> str | None:
    for line in wanted:
        if line.product_id not in free:
            return f"product {line.product_id} does not exist"
        if free[line.product_id] < line.quantity:
            return f"product stock is not enough for product {line.product_id}"
    return None
