"""The table of access: every route of the four services, and what each kind of caller gets from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.kit.answers import Outcome

Body = Callable[[Mapping[str, Any]], Any]

NO_TOKEN: Outcome = (401, "unauthenticated")
BAD_TOKEN: Outcome = (401, "invalid_token")
NO_ADMIN: Outcome = (403, "forbidden")
NOT_YOURS: Outcome = (404, "not_found")
PASSWORD = "correct horse"
CALLBACK = "/v1/payments/xendit/webhook"
REFUND_CALLBACK = "/v1/payments/xendit/refund-webhook"
CALLBACKS = (CALLBACK, REFUND_CALLBACK)


@dataclass(frozen=True)
class Answers:
    """The outcome for each kind of caller; `other` is a user who owns nothing that a route refers to."""

    anonymous: Outcome
    owner: Outcome
    other: Outcome
    admin: Outcome
    bad_token: Outcome


def all_callers(status: int, code: str = "") -> Answers:
    """The same outcome for all callers, with or without a token."""
    outcome = (status, code)
    return Answers(outcome, outcome, outcome, outcome, outcome)


def users(status: int = 200) -> Answers:
    """Allowed with a valid token."""
    return Answers(NO_TOKEN, (status, ""), (status, ""), (status, ""), BAD_TOKEN)


def owned(status: int = 200) -> Answers:
    """Allowed for the owner and for administrators."""
    return Answers(NO_TOKEN, (status, ""), NOT_YOURS, (status, ""), BAD_TOKEN)


def admins(status: int = 200, code: str = "") -> Answers:
    """Allowed for administrators."""
    return Answers(NO_TOKEN, NO_ADMIN, NO_ADMIN, (status, code), BAD_TOKEN)


@dataclass(frozen=True)
class Route:
    """A line of the table. `fresh` names the resource that a successful call uses up."""

    service: str
    method: str
    path: str
    answers: Answers
    body: Body | None = None
    query: str = ""
    fresh: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The route as messages show it."""
        return f"{self.service} {self.method} {self.path}"


def _registration(_: Mapping[str, Any]) -> dict[str, str]:
    email = f"{uuid4().hex}@example.com"
    return {"name": "Carol", "email": email, "password": PASSWORD, "confirm_password": PASSWORD}


def _product(ids: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": f"Thing {uuid4().hex[:8]}", "price": 1000, "category_id": ids["category_id"]}


def _category(_: Mapping[str, Any]) -> dict[str, str]:
    return {"name": f"Access {uuid4().hex[:10]}"}


def _checkout(ids: Mapping[str, Any]) -> dict[str, Any]:
    items = [{"product_id": ids["product_id"], "quantity": 1}]
    return {"items": items, "payment_method": "BANK_TRANSFER", "shipping_address": "Jalan Merdeka 1, Jakarta"}


def _note(_: Mapping[str, Any]) -> dict[str, str]:
    return {"note": "seen"}


def _callback(ids: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": ids["invoice_id"],
        "external_id": f"order-{ids['order_id']}",
        "status": "PENDING",
        "amount": ids["amount"],
        "currency": "IDR",
    }


def _refund_callback(_: Mapping[str, Any]) -> dict[str, Any]:
    data = {"id": "rfd-1", "reference_id": "refund-x", "status": "SUCCEEDED", "amount": 1000, "currency": "IDR"}
    return {"event": "refund.succeeded", "data": data}


_PROBES = ("/ping", "/health", "/ready")
# Pages of FastAPI; the last line represents all files that they load.
PAGES = ("/metrics", "/openapi.json", "/docs", "/docs/assets/favicon.png")
SERVICES = ("userfc", "productfc", "orderfc", "paymentfc")

USERS = [
    Route("userfc", "POST", "/v1/register", all_callers(201), _registration),
    Route("userfc", "POST", "/v1/login", all_callers(200), lambda ids: ids["login"]),
    Route("userfc", "GET", "/v1/user-info", users()),
    Route("userfc", "POST", "/v1/logout", users()),
]

PRODUCTS = [
    Route("productfc", "GET", "/v1/products", all_callers(200), query="ids=1,2"),
    Route("productfc", "GET", "/v1/products/search", all_callers(200), query="page_size=1"),
    Route("productfc", "GET", "/v1/products/{product_id}", all_callers(200)),
    Route("productfc", "POST", "/v1/products", admins(201), _product),
    Route("productfc", "PUT", "/v1/products/{product_id}", admins(), lambda _: {"description": "changed"}),
    Route("productfc", "DELETE", "/v1/products/{product_id}", admins(), fresh="product"),
    Route("productfc", "GET", "/v1/products/categories", all_callers(200)),
    Route("productfc", "GET", "/v1/products/categories/{category_id}", all_callers(200)),
    Route("productfc", "POST", "/v1/products/categories", admins(201), _category),
    Route("productfc", "PUT", "/v1/products/categories/{category_id}", admins(), _category),
    Route("productfc", "DELETE", "/v1/products/categories/{category_id}", admins(), fresh="category"),
]

ORDERS = [
    Route("orderfc", "POST", "/v1/orders/checkout", users(201), _checkout),
    Route("orderfc", "GET", "/v1/orders/history", users()),
    Route("orderfc", "GET", "/v1/orders/{order_id}", owned()),
    Route(
        "orderfc", "POST", "/v1/orders/{order_id}/cancel", owned(), lambda _: {"reason": "by mistake"}, fresh="order"
    ),
]

PAYMENTS = [
    # Called by Xendit, which sends a callback token and no bearer token; see test_access.
    Route("paymentfc", "POST", CALLBACK, all_callers(401, "invalid_callback_token"), _callback),
    Route("paymentfc", "POST", REFUND_CALLBACK, all_callers(401, "invalid_callback_token"), _refund_callback),
    Route("paymentfc", "POST", "/v1/payments/invoice", owned(), lambda ids: {"order_id": ids["order_id"]}),
    Route("paymentfc", "GET", "/v1/payments/{order_id}", owned()),
    Route("paymentfc", "GET", "/v1/payments/invoice/{order_id}/pdf", owned()),
    Route("paymentfc", "GET", "/v1/payments/failed", admins()),
    Route("paymentfc", "GET", "/v1/payments/anomalies", admins()),
    Route("paymentfc", "POST", "/v1/payments/anomalies/{anomaly_id}/resolve", admins(), lambda _: {"note": "seen"}),
    Route("paymentfc", "GET", "/v1/payments/refunds", admins()),
    # The order is not paid; only an administrator gets that answer.
    Route(
        "paymentfc",
        "POST",
        "/v1/payments/{order_id}/refund",
        admins(409, "not_refundable"),
        lambda _: {"amount": 1000, "reason": "broken"},
        headers=(("idempotency-key", "access"),),
    ),
    # No refund has this id.
    Route("paymentfc", "POST", "/v1/payments/refunds/{refund_id}/approve", admins(404, "not_found")),
    Route("paymentfc", "POST", "/v1/payments/refunds/{refund_id}/settle", admins(404, "not_found"), _note),
    Route("paymentfc", "GET", "/v1/payments/failed-events", admins()),
    # No event is parked here; only an administrator gets that answer.
    Route("paymentfc", "POST", "/v1/payments/failed-events/{row_id}/retry", admins(404, "not_found")),
    Route("paymentfc", "GET", "/v1/payments/audit-logs", admins()),
]

# What every service shows an administrator, and what the three with events show.
ADMIN = "/v1/admin"
ADMINISTRATION = [
    *(Route(service, "GET", f"{ADMIN}/process", admins()) for service in SERVICES),
    *(Route(service, "GET", f"{ADMIN}/outbox", admins()) for service in SERVICES[1:]),
    # Only an administrator learns that there is no such event.
    *(
        Route(service, "POST", f"{ADMIN}/outbox/{{row_id}}/retry", admins(404, "not_found"), lambda _: {"reason": "x"})
        for service in SERVICES[1:]
    ),
    *(Route(service, "GET", f"{ADMIN}/inbox", admins(), query=f"event_ids={uuid4()}") for service in SERVICES[1:]),
    Route("userfc", "GET", f"{ADMIN}/users", admins(), query="ids=1"),
    Route("productfc", "GET", f"{ADMIN}/stock/orders/{{order_id}}", admins()),
    Route("productfc", "GET", f"{ADMIN}/stock/products/{{product_id}}", admins()),
    Route("orderfc", "GET", f"{ADMIN}/orders", admins()),
    Route("orderfc", "GET", f"{ADMIN}/orders/{{order_id}}", admins()),
    Route("paymentfc", "GET", f"{ADMIN}/payments", admins(404, "not_found"), query="external_id=order-0"),
    Route("paymentfc", "GET", f"{ADMIN}/payments/waiting", admins(), query="step=invoice"),
    Route("paymentfc", "GET", f"{ADMIN}/payments/open-items", admins()),
    Route("paymentfc", "GET", f"{ADMIN}/payments/orders/{{order_id}}", admins()),
]

ROUTES = [
    *(Route(service, "GET", path, all_callers(200)) for service in SERVICES for path in (*_PROBES, *PAGES)),
    *USERS,
    *PRODUCTS,
    *ORDERS,
    *PAYMENTS,
    *ADMINISTRATION,
]
OWNED = [route for route in ROUTES if route.answers == owned()]


def name_of(route: Route) -> str:
    return route.name
