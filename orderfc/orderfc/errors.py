"""What orderfc refuses, each with a stable code.

AppError
├── Invalid             validation_failed
├── NotFound            not_found               unknown product; an order that is not there, or not the caller's
├── Conflict
│   ├── InsufficientStock   insufficient_stock
│   ├── PriceMismatch       price_mismatch
│   └── RequestInProgress   request_in_progress     the same idempotency key is being worked on
├── Unprocessable
│   └── KeyReused           idempotency_key_reused  the key was used with another body
└── Unavailable         unavailable             productfc is slow, down or unintelligible; nothing was written
"""

from chassis.errors import Conflict, NotFound, Unprocessable


class InsufficientStock(Conflict):
    """The product exists and has less stock than asked for."""

    code = "insufficient_stock"

    def __init__(self, product_id: int) -> None:
        super().__init__(f"product stock is not enough for product {product_id}")


class PriceMismatch(Conflict):
    """The customer was shown another price than the product has now."""

    code = "price_mismatch"

    def __init__(self, product_id: int) -> None:
        super().__init__(f"price mismatch for product {product_id}")


class RequestInProgress(Conflict):
    """A request with the same key is still running; it can be repeated in a second."""

    code = "request_in_progress"
    default_retry_after = 1

    def __init__(self) -> None:
        super().__init__("a request with this idempotency key is still in progress")


class KeyReused(Unprocessable):
    """The key belongs to an earlier request with another body."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("this idempotency key was used with another request body")


def unknown_product(product_id: int) -> NotFound:
    """Make the 404 of a basket that names a product that does not exist."""
    return NotFound(f"product {product_id} not found")


def unknown_order(order_id: int) -> NotFound:
    """Make the 404 of an order that does not exist or is somebody else's: the two must look the same."""
    return NotFound(f"order {order_id} not found")
