"""The bodies of orderfc: what is accepted, and what counts as the same body."""

from typing import Any

import pytest
from pydantic import ValidationError

from orderfc.handler.schemas import CheckoutBody

BODY: dict[str, Any] = {
    "items": [{"product_id": 1, "quantity": 2, "price": 150000}],
    "payment_method": "CARD",
    "shipping_address": "Jalan Merdeka 1",
}


def hash_of(**changes: Any) -> bytes:
    return CheckoutBody.model_validate(BODY | changes).request_hash()


def test_the_hash_is_of_the_value_after_validation_and_leaves_out_the_key() -> None:
    same: list[dict[str, Any]] = [
        {"idempotency_token": "k"},
        {"payment_method": " CARD "},
        {"items": [{"price": 150000.0, "quantity": 2, "product_id": 1}]},
        {"user_id": 99, "unknown": True},
    ]
    assert {hash_of(**changes) for changes in same} == {hash_of()}
    assert len(hash_of()) == 32


@pytest.mark.parametrize(
    "changes",
    [
        {"items": [{"product_id": 1, "quantity": 3, "price": 150000}]},
        {"items": [{"product_id": 1, "quantity": 2}]},
        {"items": [{"product_id": 1, "quantity": 2, "price": 150001}]},
        {"payment_method": "card"},
        {"shipping_address": "elsewhere"},
    ],
)
def test_a_changed_body_has_another_hash(changes: dict[str, Any]) -> None:
    assert hash_of(**changes) != hash_of()


@pytest.mark.parametrize(
    "changes",
    [
        {"items": []},
        {"items": [{"product_id": n, "quantity": 1} for n in range(1, 102)]},
        *[{"items": [{"product_id": 1, "quantity": n}]} for n in (0, -1, 1001, 1.5, "2", True, 2**31, None)],
        *[{"items": [{"product_id": n, "quantity": 1}]} for n in (0, -1, 2**63, "1", True, None)],
        *[{"items": [{"product_id": 1, "quantity": 1, "price": price}]} for price in ("1", True, float("nan"))],
        {"payment_method": ""},
        {"payment_method": "  "},
        {"payment_method": "x" * 65},
        {"shipping_address": "x" * 1001},
        {"shipping_address": "a\x00b"},
        {"idempotency_token": ""},
        {"idempotency_token": "x" * 256},
        {"idempotency_token": 7},
    ],
)
def test_a_body_outside_the_limits_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CheckoutBody.model_validate(BODY | changes)
