"""Every edge between two spans that an order's traces may have, and what is wrong with the spans that were found."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Literal

from tests.kit.spans import Span

Edge = tuple[str, str, Literal["child", "link"]]
"""Parent and child as `service name-of-span`, and whether the second is a child of the first or links it."""

CHECKOUT, WEBHOOK = "orderfc POST /v1/orders/checkout", "paymentfc POST /v1/payments/xendit/webhook"
PRODUCTS = "orderfc GET /v1/products"
INVOICE, CONFIRM = "paymentfc create invoice", "paymentfc confirm callback"
CANCEL = "orderfc POST /v1/orders/{order_id}/cancel"
SWEEP, CHECK, CLOSE = "paymentfc sweep payment", "paymentfc check invoice", "paymentfc close invoice"
REFUND = "paymentfc send refund"
USER, TOKEN = "user.UserService/GetUserInfoByUserId", "user.UserService/ValidateToken"
X_CREATE, X_FIND, X_GET = "POST /v2/invoices", "GET /v2/invoices", "GET /v2/invoices/{invoice_id}"
X_EXPIRE = "POST /invoices/{invoice_id}/expire!"
X_REFUND, X_REFUNDS, X_GET_REFUND = "POST /refunds", "GET /refunds", "GET /refunds/{refund_id}"
UPDATED, FAILED = "productfc process stock.updated", "orderfc process payment.failed"


def sent(cause: str, producer: str, topic: str, *consumers: str, how: Literal["child", "link"] = "child") -> list[Edge]:
    """Return the edges of an event: what caused it is the parent of the relay's send and of each consumer's work."""
    return [(cause, f"{producer} send {topic}", how), *((cause, f"{name} process {topic}", how) for name in consumers)]


def asked(parent: str, *calls: str) -> list[Edge]:
    """Return the edges to the calls of Xendit, which has no spans of its own."""
    return [(parent, f"paymentfc {call}", "child") for call in calls]


def validated(parent: str) -> list[Edge]:
    """Return the edges of a request whose token userfc is asked about."""
    service = parent.partition(" ")[0]
    return [(parent, f"{service} {TOKEN}", "child"), (f"{service} {TOKEN}", f"userfc {TOKEN}", "child")]


PLACED: list[Edge] = [
    (CHECKOUT, PRODUCTS, "child"),
    (PRODUCTS, "productfc GET /v1/products", "child"),
    *sent(CHECKOUT, "orderfc", "order.created", "paymentfc"),
    *sent(CHECKOUT, "orderfc", "stock.updated", "productfc"),
    (CHECKOUT, INVOICE, "child"),
    *asked(INVOICE, X_CREATE),
]
INVOICED: list[Edge] = [
    (INVOICE, f"paymentfc {USER}", "child"),
    (f"paymentfc {USER}", f"userfc {USER}", "child"),
]
CALLED_BACK: list[Edge] = [(WEBHOOK, CONFIRM, "child"), *asked(CONFIRM, X_GET)]
CANCELLED = sent(FAILED, "orderfc", "stock.rollback", "productfc")

STORIES: dict[str, list[Edge]] = {
    "paid": [
        *PLACED,
        *INVOICED,
        *CALLED_BACK,
        *sent(CHECKOUT, "paymentfc", "payment.success", "orderfc"),
        *sent(CONFIRM, "paymentfc", "payment.success", "orderfc", how="link"),
    ],
    "unpaid": [
        *PLACED,
        *CALLED_BACK,
        *sent(CHECKOUT, "paymentfc", "payment.failed", "orderfc"),
        *sent(CONFIRM, "paymentfc", "payment.failed", "orderfc", how="link"),
        *CANCELLED,
        # Given up: Xendit refuses to make the invoice.
        *asked(INVOICE, X_FIND),
        *sent(INVOICE, "paymentfc", "payment.failed", "orderfc"),
        # Cancelled by the customer.
        *sent(CANCEL, "orderfc", "order.cancelled", "paymentfc"),
        *sent(CANCEL, "orderfc", "stock.rollback", "productfc"),
        (CHECKOUT, CLOSE, "child"),
        *asked(CLOSE, X_EXPIRE),
    ],
    "rejected": [
        *PLACED,
        *sent(UPDATED, "productfc", "stock.rejected", "orderfc", "paymentfc"),
        (CHECKOUT, CLOSE, "child"),
        *asked(CLOSE, X_EXPIRE),
    ],
    "unheard": [
        *PLACED,
        (CHECKOUT, CHECK, "child"),
        *asked(CHECK, X_GET),
        *sent(CHECK, "paymentfc", "payment.success", "orderfc"),
        (CHECKOUT, SWEEP, "child"),
        *asked(SWEEP, X_GET),
        *sent(SWEEP, "paymentfc", "payment.failed", "orderfc"),
        *CANCELLED,
    ],
    "refunded": [
        *PLACED,
        *CALLED_BACK,
        *sent(CHECKOUT, "paymentfc", "payment.failed", "orderfc"),
        *CANCELLED,
        *sent(CHECKOUT, "paymentfc", "payment.success", "orderfc"),
        (CHECKOUT, REFUND, "child"),
        *asked(REFUND, X_REFUND),
    ],
    "broken": [
        *validated("productfc POST /v1/products"),
        *validated("orderfc GET /v1/orders/{order_id}"),
        *validated("paymentfc GET /v1/payments/{order_id}"),
        (FAILED, "orderfc send payment.failed.dlq", "child"),
        ("fc replay payment.failed", FAILED, "link"),
    ],
}
"""The edges that each story has."""

SOMETIMES: list[Edge] = [
    # Xendit has not expired it by itself; it expires while it is looked at.
    *asked(SWEEP, X_EXPIRE),
    *asked(CLOSE, X_GET),
    # The refund is not over when it is made, or its first call is lost.
    *asked(REFUND, X_REFUNDS, X_GET_REFUND),
    *sent(CHECK, "paymentfc", "payment.failed", "orderfc"),
]
"""The edges that depend on what comes first."""

EDGES: list[Edge] = list(dict.fromkeys([edge for edges in STORIES.values() for edge in edges] + SOMETIMES))

RESOURCE = (
    "service.name",
    "service.namespace",
    "service.version",
    "service.instance.id",
    "deployment.environment.name",
)
ABOUT_ORDER = re.compile(r"(send|process|replay) |(create|check|close) invoice|sweep payment|confirm callback")
_PERSONAL = {
    "an e-mail address": re.compile(r"[^\s@\"'=]+@[^\s@]+\.[a-z]{2,}"),
    "a token": re.compile(r"\beyJ[\w-]+\.|Bearer |xnd_"),
}


def found_edges(spans: Iterable[Span]) -> Counter[Edge]:
    """Return the edges between these spans, and how often there is each."""
    by_id = {(span.trace_id, span.span_id): span for span in spans}
    edges: Counter[Edge] = Counter()
    for span in by_id.values():
        if parent := by_id.get((span.trace_id, span.parent_id)):
            edges[parent.node, span.node, "child"] += 1
        edges.update((by_id[link].node, span.node, "link") for link in span.links if link in by_id)
    return edges


def problems(spans: Collection[Span], callers: Collection[str] = (), secrets: Collection[str] = ()) -> list[str]:
    """Return what is wrong with these spans, a sentence each; no span may be missing among them.

    `callers` are the ids of spans of a test, which are parents without being recorded. `secrets` are texts that no span
    may hold.
    """
    declared = set(EDGES)
    undeclared = [edge for edge in found_edges(spans) if edge not in declared]
    ids = {(span.trace_id, span.span_id) for span in spans}
    found = [f"not declared: {parent} -> {child} ({how})" for parent, child, how in undeclared]
    for span in spans:
        found += [f"{span.node}: {problem}" for problem in _problems_of(span, ids, callers, secrets)]
    return sorted(set(found))


def _problems_of(
    span: Span, ids: Collection[tuple[str, str]], callers: Collection[str], secrets: Collection[str]
) -> Iterator[str]:
    if span.parent_id and span.parent_id not in callers and (span.trace_id, span.parent_id) not in ids:
        yield "its parent is no span"
    yield from ("it links no span" for link in span.links if link not in ids)
    yield from (f"without {name}" for name in RESOURCE if not span.resource.get(name))
    if ABOUT_ORDER.match(span.name) and not isinstance(span.attributes.get("app.order.id"), str):
        yield "it is about an order and does not say which"
    if span.ended_ns < span.began_ns:
        yield "it ends before it begins"
    text = repr((span.name, span.attributes, span.resource, span.texts))
    yield from (f"holds {what}" for what, pattern in _PERSONAL.items() if pattern.search(text))
    yield from ("holds a secret or what a person has sent" for secret in secrets if secret in text)
