"""What the published models do not say of their fields: the meaning, and the bounds that checkout enforces.

A field has the same meaning on every topic. Fields are named by path: `order_id`, `products[].quantity`.
"""

from collections.abc import Mapping
from typing import Any

from chassis.money import MAX_AMOUNT
from orderfc.model import MAX_LINES, MAX_QUANTITY

Fact = Mapping[str, Any]

_ID = {"minimum": 1, "maximum": 2**63 - 1}

_EVERYWHERE: Mapping[str, Fact] = {
    "order_id": {"description": "The order's number, given by orderfc.", **_ID},
    "products": {"description": "One line for each product.", "minItems": 1},
    "products[].product_id": {"description": "The product's number, given by productfc.", **_ID},
    "products[].quantity": {"description": "How many pieces.", "minimum": 1},
    "event_time": {"description": "When the producer decided this: RFC 3339, UTC."},
    "topic": {"description": "The name of the topic, as the Go services expect it in the value."},
}
_BASKET: Mapping[str, Fact] = {
    "products": {"maxItems": MAX_LINES},
    "products[].quantity": {"maximum": MAX_QUANTITY},
}
BY_TOPIC: Mapping[str, Mapping[str, Fact]] = {
    "order.created": {
        **_BASKET,
        "user_id": {"description": "The customer's number, given by userfc.", **_ID},
        "total_amount": {
            "description": "The sum of the lines, in units of `currency` and as exact as it can express.",
            "exclusiveMinimum": 0,
            "maximum": int(MAX_AMOUNT),
        },
        "payment_method": {"description": "The method that the customer chose.", "minLength": 1, "maxLength": 64},
        "shipping_address": {"description": "Where the order goes.", "minLength": 1, "maxLength": 1000},
        "currency": {"description": "ISO 4217 code of all amounts.", "pattern": "^[A-Z]{3}$"},
        "products[].name": {"description": "The product's name at checkout."},
        "products[].price": {
            "description": "The price of one piece at checkout.",
            "minimum": 0,
            "maximum": int(MAX_AMOUNT),
        },
    },
    "stock.updated": _BASKET,
    "stock.rollback": _BASKET,
    "payment.success": {"status": {"description": "The result of the payment."}},
    "payment.failed": {
        "status": {"description": "The result of the payment."},
        "reason": {
            "description": "A stable code: `expired`, `invoice_refused`, `gateway_unavailable` or `amount_mismatch`."
        },
    },
    "stock.rejected": {"reason": {"description": "A sentence for a person: what was not in stock."}},
    "order.cancelled": {
        "reason": {"description": "For a person: why the order was cancelled.", "minLength": 1, "maxLength": 255}
    },
}


def facts_of(topic: str) -> dict[str, dict[str, Any]]:
    """Return the facts about a topic's fields by path; fields that other topics have are included."""
    own = BY_TOPIC.get(topic, {})
    return {path: {**_EVERYWHERE.get(path, {}), **own.get(path, {})} for path in (*_EVERYWHERE, *own)}
