"""Products, categories and the rules of the stock ledger: pure objects and functions, no I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

MAX_STOCK = 2**31 - 1
# The product id of a tombstone whose rollback named no products.
NO_PRODUCT = 0


@dataclass(frozen=True, slots=True)
class Product:
    """A product on sale, with its category. `stock` is free stock: the units that no order holds."""

    id: int
    name: str
    description: str
    price: Decimal
    stock: int
    category_id: int
    category_name: str


@dataclass(frozen=True, slots=True)
class Category:
    """A category. Names are unique without case."""

    id: int
    name: str


class Line(NamedTuple):
    """A product and the quantity of it that an event names."""

    product_id: int
    quantity: int


class Claim(NamedTuple):
    """What a stock event asks for: to take or to return these lines (merged) for an order."""

    order_id: int
    lines: Sequence[Line]
    event_id: UUID


class LedgerState(StrEnum):
    """The state of an order's claim on a product. Every state except TAKEN is final."""

    TAKEN = "TAKEN"
    RELEASED = "RELEASED"
    TOMBSTONE = "TOMBSTONE"
    REJECTED = "REJECTED"


class Entry(NamedTuple):
    """A row of the ledger. There is at most one per order and product."""

    product_id: int
    quantity: int
    state: LedgerState


@dataclass(frozen=True, slots=True)
class Decision:
    """The effect of a stock event: ledger rows to write, changes of free stock by product id, and why it is refused."""

    entries: Sequence[Entry] = ()
    changes: Mapping[int, int] = field(default_factory=dict)
    refusal: str | None = None


NOTHING = Decision()


def merge(lines: Iterable[Line]) -> list[Line]:
    """Sum the quantities per product, sorted by product id: the order in which rows are locked."""
    total: dict[int, int] = {}
    for line in lines:
        total[line.product_id] = total.get(line.product_id, 0) + line.quantity
    return [Line(product_id, total[product_id]) for product_id in sorted(total)]


def decide_take(ledger: Sequence[Entry], lines: Sequence[Line], free: Mapping[int, int]) -> Decision:
    """Decide on stock.updated: take all lines or none, and nothing for an order that has ledger rows.

    `lines` are merged. `free` is the free stock by product id, without the products that do not exist.
    """
    if ledger:
        return NOTHING
    refusal = _refusal(lines, free)
    state = LedgerState.TAKEN if refusal is None else LedgerState.REJECTED
    entries = [Entry(line.product_id, line.quantity, state) for line in lines]
    changes = {line.product_id: -line.quantity for line in lines} if refusal is None else {}
    return Decision(entries, changes, refusal)


def decide_return(ledger: Sequence[Entry], lines: Sequence[Line]) -> Decision:
    """Decide on stock.rollback: return what the ledger says the order holds, whatever the message names.

    An order without ledger rows gets tombstones for `lines` (merged), so that a stock.updated that arrives later takes
    nothing.
    """
    if not ledger:
        tombstones = lines or [Line(NO_PRODUCT, 0)]
        return Decision([Entry(line.product_id, line.quantity, LedgerState.TOMBSTONE) for line in tombstones])
    held = [entry for entry in ledger if entry.state is LedgerState.TAKEN]
    return Decision(
        [Entry(entry.product_id, entry.quantity, LedgerState.RELEASED) for entry in held],
        {entry.product_id: entry.quantity for entry in held},
    )


class Books:
    """Ledger rows by order, and free stock by product. Each decision is entered before the next one is taken."""

    def __init__(self, entries: Iterable[tuple[int, Entry]], free: Mapping[int, int] | None = None) -> None:
        self._ledger: dict[int, dict[int, Entry]] = {}
        self._free = dict(free or {})
        for order_id, entry in entries:
            self._ledger.setdefault(order_id, {})[entry.product_id] = entry

    def take(self, claim: Claim) -> Decision:
        return self._enter(claim, decide_take(self._rows(claim), claim.lines, self._free))

    def give_back(self, claim: Claim) -> Decision:
        return self._enter(claim, decide_return(self._rows(claim), claim.lines))

    def _rows(self, claim: Claim) -> list[Entry]:
        return list(self._ledger.get(claim.order_id, {}).values())

    def _enter(self, claim: Claim, decision: Decision) -> Decision:
        rows = self._ledger.setdefault(claim.order_id, {})
        rows.update((entry.product_id, entry) for entry in decision.entries)
        for product_id, units in decision.changes.items():
            self._free[product_id] = self._free.get(product_id, 0) + units
        return decision


def _refusal(lines: Sequence[Line], free: Mapping[int, int]) -> str | None:
    for line in lines:
        if line.product_id not in free:
            return f"product {line.product_id} does not exist"
        if free[line.product_id] < line.quantity:
            return f"product stock is not enough for product {line.product_id}"
    return None
