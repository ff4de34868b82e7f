"""The refusals of orderfc, each with a stable code.

AppError
├── Invalid             validation_failed
├── NotFound
│   ├── ProductNotFound     not_found               unknown product in a basket
│   └── OrderNotFound       not_found               unknown order, or another user's
├── Conflict
│   ├── InsufficientStock   insufficient_stock
│   ├── PriceMismatch       price_mismatch
│   ├── RequestInProgress   request_in_progress     a request with the same idempotency key is running
│   └── NotCancellable      not_cancellable         the order is completed or failed
├── RateLimited
│   ├── TooManyTries        rate_limited            (chassis) more checkouts in a minute than a customer may try
│   └── TooManyOpenOrders   too_many_open_orders    the customer has to pay or to let expire what is open
├── Unprocessable
│   └── KeyReused           idempotency_key_reused  the key was used with another body
└── Unavailable         unavailable             productfc is slow or down, or its answer is invalid; nothing was written
"""

from chassis.errors import Conflict, NotFound, RateLimited, Unprocessable


class InsufficientStock(Conflict):
    """The product has less stock than the basket asks for."""

    code = "insufficient_stock"

    def __init__(self, product_id: int) -> None:
        super().__init__(f"product stock is not enough for product {product_id}")


class PriceMismatch(Conflict):
    """The price in the basket is not the product's current price."""

    code = "price_mismatch"

    def __init__(self, product_id: int) -> None:
        super().__init__(f"price mismatch for product {product_id}")


class RequestInProgress(Conflict):
    """A request with the same key is still running; it can be repeated after a second."""

    code = "request_in_progress"
    default_retry_after = 1

    def __init__(self) -> None:
        super().__init__("a request with this idempotency key is still in progress")


class NotCancellable(Conflict):
    """The order is paid or over, so it can't be cancelled any more. It can only be refunded."""

    code = "not_cancellable"

    def __init__(self, order_id: int, status: str) -> None:
        super().__init__(f"order {order_id} is {status} and can't be cancelled any more")


class TooManyOpenOrders(RateLimited):
    """The customer has the most unpaid orders that are allowed. Each of them holds stock."""

    code = "too_many_open_orders"
    default_retry_after = 60

    def __init__(self, limit: int) -> None:
        super().__init__(f"you have {limit} unpaid orders; pay or cancel one, or wait until one expires")


class KeyReused(Unprocessable):
    """The key belongs to an earlier request with another body."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("this idempotency key was used with another request body")


class ProductNotFound(NotFound):
    """The basket names a product that does not exist."""

    def __init__(self, product_id: int) -> None:
        super().__init__(f"product {product_id} not found")


class OrderNotFound(NotFound):
    """The order does not exist or belongs to another user. Both have the same answer."""

    def __init__(self, order_id: int) -> None:
        super().__init__(f"order {order_id} not found")
