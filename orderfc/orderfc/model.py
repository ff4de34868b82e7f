"""The order: its status and transitions, the basket and its prices. Pure: no I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum, StrEnum

from chassis.errors import Invalid
from chassis.money import check_amount
from orderfc.errors import InsufficientStock, NotCancellable, PriceMismatch, ProductNotFound

MAX_LINES = 100
MAX_QUANTITY = 1000


class Status(IntEnum):
    """The status of an order, with the numbers of the Go system. PROCESSING is never entered here."""

    CREATED = 0
    PROCESSING = 1
    COMPLETED = 2
    CANCELLED = 3
    FAILED = 4

    @property
    def wire(self) -> str:
        return self.name.lower()


class Cause(StrEnum):
    """What changes the status of an order; also the `cause` column of its history."""

    PAID = "paid"
    PAYMENT_FAILED = "payment_failed"
    STOCK_REJECTED = "stock_rejected"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class Transition:
    """The effect of a cause: the order's new status (None: unchanged), and whether its stock is returned."""

    status: Status | None = None
    publish_rollback: bool = False


# The status alone records which causes have arrived: completed = paid, cancelled = failed, rejected or cancelled by the
# customer, failed = both. So a repeated cause changes nothing even when the inbox has been purged, and the causes
# commute. The customer's cancellation is a request, not an event. It is refused once the order is paid.
_TRANSITIONS: Mapping[tuple[Status, Cause], Transition] = {
    (Status.CREATED, Cause.PAID): Transition(Status.COMPLETED),
    (Status.CREATED, Cause.PAYMENT_FAILED): Transition(Status.CANCELLED, publish_rollback=True),
    (Status.CREATED, Cause.STOCK_REJECTED): Transition(Status.CANCELLED),
    (Status.CREATED, Cause.CUSTOMER): Transition(Status.CANCELLED, publish_rollback=True),
    (Status.COMPLETED, Cause.PAYMENT_FAILED): Transition(Status.FAILED, publish_rollback=True),
    (Status.COMPLETED, Cause.STOCK_REJECTED): Transition(Status.FAILED),
    # Cancelling has already returned the stock, or none was taken.
    (Status.CANCELLED, Cause.PAID): Transition(Status.FAILED),
}
_UNCHANGED = Transition()


def transition(status: Status, cause: Cause) -> Transition:
    return _TRANSITIONS.get((status, cause), _UNCHANGED)


def cancel(order_id: int, status: Status) -> Transition:
    """Return the transition of a request to cancel. A cancelled order stays as it is. Raises NotCancellable."""
    if status not in (Status.CREATED, Status.CANCELLED):
        raise NotCancellable(order_id, status.wire)
    return transition(status, Cause.CUSTOMER)


def moves(cause: Cause) -> list[Status | None]:
    """Return the new status for each status, in the order of their numbers; None means no change."""
    return [transition(status, cause).status for status in Status]


def may_return_stock(cause: Cause) -> bool:
    """Whether there is an order whose stock is returned for this cause."""
    return any(transition(status, cause).publish_rollback for status in Status)


@dataclass(frozen=True, slots=True)
class BasketLine:
    """One line of a basket. `price` is the price that the customer saw, or None if the client did not send it."""

    product_id: int
    quantity: int
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """A product as productfc answers it now."""

    id: int
    name: str
    price: Decimal
    stock: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an order, with name and price of the time of checkout."""

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
        return sum((line.price * line.quantity for line in self.lines), Decimal(0))

    @property
    def total_quantity(self) -> int:
        return sum(line.quantity for line in self.lines)


def merge(lines: Iterable[BasketLine]) -> tuple[BasketLine, ...]:
    """Return one line per product, in the order of first mention.

    Raises Invalid for two different prices of one product, and for a quantity outside 1..1000.
    """
    merged: dict[int, BasketLine] = {}
    for line in lines:
        earlier = merged.get(line.product_id)
        if earlier is None:
            merged[line.product_id] = line
            continue
        if earlier.price is not None and line.price is not None and earlier.price != line.price:
            raise Invalid(f"items: product {line.product_id} is given with two different prices")
        price = earlier.price if earlier.price is not None else line.price
        merged[line.product_id] = BasketLine(line.product_id, earlier.quantity + line.quantity, price)
    for line in merged.values():
        if not 1 <= line.quantity <= MAX_QUANTITY:
            raise Invalid(f"items: the quantity of product {line.product_id} must be from 1 to {MAX_QUANTITY}")
    return tuple(merged.values())


def price_basket(basket: Sequence[BasketLine], products: Mapping[int, Product]) -> tuple[Line, ...]:
    """Price a merged basket with productfc's answer.

    Raises ProductNotFound (checked for all lines first), InsufficientStock, PriceMismatch.
    """
    for line in basket:
        if line.product_id not in products:
            raise ProductNotFound(line.product_id)
    return tuple(_priced(line, products[line.product_id]) for line in basket)


def _priced(line: BasketLine, product: Product) -> Line:
    if product.stock < line.quantity:
        raise InsufficientStock(product.id)
    if line.price is not None and line.price != product.price:
        raise PriceMismatch(product.id)
    return Line(product.id, product.name, line.quantity, product.price)


def check_total(draft: Draft) -> None:
    """Raise Invalid unless the total is over 0, at most 9,999,999,999 and expressible in the currency."""
    if draft.total_amount == 0:
        raise Invalid("The total must be more than 0")
    check_amount(draft.total_amount, draft.currency)
