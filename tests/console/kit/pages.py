"""All pages that the tests of the look go to: those of the navigation, and one of each kind below them."""

from console.handler.rendering import NAVIGATION

ADDRESSES = tuple(address for address, _ in NAVIGATION)
BELOW = (
    "/dead-letters/journal",
    "/dead-letters/plan?action=replay",
    "/metrics-explorer",
    "/outbox/retry?service=orderfc",
    "/services/orderfc",
)


def addresses(order: int) -> tuple[str, ...]:
    """Return the addresses of all pages; `order` is one that exists."""
    of_order = ("", "/logs")
    records = (f"/events?order={order}", "/events?topic=order.created", "/events/groups")
    return (*ADDRESSES, *BELOW, *(f"/orders/{order}{each}" for each in of_order), *records, "/orders/999999999999")


def status(address: str) -> int:
    return 404 if address.endswith("/999999999999") else 200
