"""The reading of callbacks: accepted and refused bodies."""

import json
from decimal import Decimal
from typing import Any

import pytest

from paymentfc.errors import NotACallback
from paymentfc.handler.schemas import read_callback

BODY: dict[str, Any] = {
    "id": "6748105a77f16ebe0cc583a7",
    "external_id": "order-7",
    "user_id": "x",
    "status": "PAID",
    "amount": 150000,
    "paid_amount": 150000,
    "currency": "IDR",
    "merchant_name": "Shop",
    "unknown": {"nested": [1, 2]},
}


def test_the_official_sample_is_read_with_exact_amounts_and_kept_as_it_came() -> None:
    raw = json.dumps({**BODY, "amount": 0.1}).encode()
    callback, text = read_callback(raw)
    assert callback.amount == Decimal("0.1")
    assert callback.judged_amount == Decimal(150000)
    assert text.encode() == raw


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "150000"},
        {"amount": None},
        {"amount": True},
        {"amount": [1]},
        {"paid_amount": "1"},
        {"id": ""},
        {"id": None},
        {"id": 7},
        {"id": "a\x00b"},
        {"external_id": "x" * 256},
        {"status": None},
        {"status": 1},
        {"currency": 360},
        {"external_id": "\ud800"},
    ],
)
def test_fields_of_another_kind_make_it_no_callback(change: dict[str, Any]) -> None:
    with pytest.raises(NotACallback):
        read_callback(json.dumps({**BODY, **change}).encode())


@pytest.mark.parametrize("field", ["id", "external_id", "status", "amount"])
def test_missing_fields_make_it_no_callback_and_are_named(field: str) -> None:
    body = {name: value for name, value in BODY.items() if name != field}
    with pytest.raises(NotACallback, match=field):
        read_callback(json.dumps(body).encode())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        b'"text"',
        b"[" * 100_000,
        b'{"id":"a","external_id":"b","status":"PAID","amount":NaN}',
        b'{"id":"a","external_id":"b","status":"PAID","amount":Infinity}',
        b'{"id":"a","external_id":"b","status":"PAID","amount":1e99999999999999999999}',
        b'{"id":"a","external_id":"b","status":"PAID","amount":' + b"9" * 50 + b"}",
    ],
)
def test_what_is_not_json_or_no_number_is_refused(raw: bytes) -> None:
    with pytest.raises(NotACallback):
        read_callback(raw)


def test_a_number_beyond_floats_is_a_number() -> None:
    callback, _ = read_callback(b'{"id":"a","external_id":"b","status":"PAID","amount":1e309,"currency":"IDR"}')
    assert callback.amount == Decimal("1E+309")


def test_a_missing_or_null_paid_amount_leaves_the_asked_amount() -> None:
    for change in ({"paid_amount": None}, {}):
        body = {**{k: v for k, v in BODY.items() if k != "paid_amount"}, **change}
        callback, _ = read_callback(json.dumps(body).encode())
        assert callback.judged_amount == Decimal(150000)
