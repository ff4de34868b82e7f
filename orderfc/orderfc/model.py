"""The order: its status and how it may change, the basket and how it is priced. Pure: no I/O, no SQLAlchemy."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum, StrEnum

from chassis.errors import Invalid
from chassis.money import check_amount
from orderfc.errors import InsufficientStock, PriceMismatch, unknown_product

MAX_LINES = 100
MAX_QUANTITY = 1000


class Status(IntEnum):
    """The status of an order, with the numbers of the Go system. PROCESSING is never entered by this system."""

    CREATED = 0
    PROCESSING = 1
    COMPLETED = 2
    CANCELLED = 3
    FAILED = 4

    @property
    def wire(self) -> str:
        """The name that clients see."""
        return self.name.lower()


class Cause(StrEnum):
    """What the other services tell about an order; also the `cause` column of its history."""

    CHECKOUT = "checkout"
    PAID = "paid"
    PAYMENT_FAILED = "payment_failed"
    STOCK_REJECTED = "stock_rejected"


@dataclass(frozen=True, slots=True)
class Transition:
    """What a cause does to an order: its new status (None = stays), and whether its stock is given back."""

    status: Status | None = None
    publish_rollback: bool = False


# The status is all the memory that is needed: completed = paid came, cancelled = failed or rejected came, failed = both
# came. So a repeated cause changes nothing even when the inbox has been purged, and every order of arrival ends the
# same.
_TRANSITIONS: Mapping[tuple[Status, Cause], Transition] = {
    (Status.CREATED, Cause.PAID): Transition(Status.COMPLETED),
    (Status.CREATED, Cause.PAYMENT_FAILED): Transition(Status.CANCELLED, publish_rollback=True),
    (Status.CREATED, Cause.STOCK_REJECTED): Transition(Status.CANCELLED),
    (Status.COMPLETED, Cause.PAYMENT_FAILED): Transition(Status.FAILED, publish_rollback=True),
    (Status.COMPLETED, Cause.STOCK_REJECTED): Transition(Status.FAILED),
    # Cancelling has already given the stock back, or found that none was taken.
    (Status.CANCELLED, Cause.PAID): Transition(Status.FAILED),
}
_STAYS = Transition()


def transition(status: Status, cause: Cause) -> Transition:
    """Tell what a cause does to an order in a status."""
    return _TRANSITIONS.get((status, cause), _STAYS)


def may_become(target: Status) -> tuple[Status, ...]:
    """Give the statuses from which an order may reach `target`: the guard of the UPDATE."""
    return tuple(sorted({status for (status, _), change in _TRANSITIONS.items() if change.status is target}))


@dataclass(frozen=True, slots=True)
class Wanted:
    """One line of a basket; `price` is what the customer was shown, if the client says it."""

    product_id: int
    quantity: int
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """What productfc says about a product now."""

    id: int
    name: str
    price: Decimal
    stock: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an order, with name and price as they were at checkout."""

    product_id: int
    name: str
    quantity: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Draft:
    """A priced order that is not stored yet."""

    user_id: int
    lines: tuple[Line, ...]
    currency: str
    payment_method: str
    shipping_address: str

    @property
    def total_amount(self) -> Decimal:
        """The sum of the lines."""
        return sum((line.price * line.quantity for line in self.lines), Decimal(0))

    @property
    def total_quantity(self) -> int:
        """The number of pieces."""
        return sum(line.quantity for line in self.lines)


def merge(lines: Iterable[Wanted]) -> tuple[Wanted, ...]:
    """Make one line of each product, in the order of their first mention.

    Raises Invalid for two different prices of one product, and for more pieces of it than a line may have.
    """
    merged: dict[int, Wanted] = {}
    for line in lines:
        seen = merged.get(line.product_id)
        if seen is None:
            merged[line.product_id] = line
            continue
        if seen.price is not None and line.price is not None and seen.price != line.price:
            raise Invalid(f"items: product {line.product_id} is given with two different prices")
        price = seen.price if seen.price is not None else line.price
        merged[line.product_id] = Wanted(line.product_id, seen.quantity + line.quantity, price)
    for line in merged.values():
        if not 1 <= line.quantity <= MAX_QUANTITY:
            raise Invalid(f"items: the quantity of product {line.product_id} must be from 1 to {MAX_QUANTITY}")
    return tuple(merged.values())


def priced(basket: Sequence[Wanted], products: Mapping[int, Product]) -> tuple[Line, ...]:
    """Price a merged basket by what productfc says.

    Raises NotFound for an unknown product (looked at for all lines first), InsufficientStock, PriceMismatch.
    """
    for wanted in basket:
        if wanted.product_id not in products:
            raise unknown_product(wanted.product_id)
    lines = []
    for wanted in basket:
        product = products[wanted.product_id]
        if product.stock < wanted.quantity:
            raise InsufficientStock(product.id)
        if wanted.price is not None and wanted.price != product.price:
            raise PriceMismatch(product.id)
        lines.append(Line(product.id, product.name, wanted.quantity, product.price))
    return tuple(lines)


def check_total(draft: Draft) -> None:
    """Raise Invalid unless the total is more than 0, at most 9,999,999,999 and expressible in the currency."""
    if draft.total_amount == 0:
        raise Invalid("The total must be more than 0")
    check_amount(draft.total_amount, draft.currency)
