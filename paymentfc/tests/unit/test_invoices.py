"""The choice of a payment's invoice among those that the gateway has."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from paymentfc.model.invoices import CLOCK_TOLERANCE, Invoice, belongs_to, can_serve, choose, offered_as_made
from paymentfc.model.payment import Status

from .samples import NOW, payment

PENDING = Invoice("pending", "order-7", "PENDING", Decimal(150_000), "IDR")
PAID = replace(PENDING, id="paid", status="PAID")
EXPIRED = replace(PENDING, id="expired", status="EXPIRED")


def test_the_stored_invoice_is_chosen_whatever_the_others_are() -> None:
    stored = replace(EXPIRED, id="inv-1")
    assert choose([PAID, stored, PENDING], payment()) == stored
    assert choose([PAID, PENDING], payment()) is None


def test_a_paid_invoice_is_chosen_before_a_pending_one_before_an_expired_one() -> None:
    closed = payment(Status.FAILED, invoice_id=None)
    assert choose([EXPIRED, PENDING, PAID], closed) == PAID
    assert choose([EXPIRED, PENDING], closed) == PENDING
    assert choose([EXPIRED], closed) == EXPIRED
    assert choose([], closed) is None


def test_an_expired_invoice_serves_only_a_closed_payment() -> None:
    assert not can_serve(EXPIRED, payment(invoice_id=None))
    assert can_serve(EXPIRED, payment(Status.FAILED, invoice_id=None))


@pytest.mark.parametrize(
    ("amount", "currency", "serves"),
    [(150_000, "IDR", True), (150_000, "", True), (150_000, "USD", False), (149_999, "IDR", False)],
)
def test_an_invoice_serves_only_with_the_amount_and_currency_of_the_payment(
    amount: int, currency: str, *, serves: bool
) -> None:
    invoice = replace(PENDING, amount=Decimal(amount), currency=currency)
    assert can_serve(invoice, payment(invoice_id=None)) is serves


def test_an_invoice_older_than_its_payment_belongs_to_an_earlier_order_of_the_same_number() -> None:
    oldest = NOW - CLOCK_TOLERANCE
    assert belongs_to(replace(PENDING, created=oldest), payment())
    assert not belongs_to(replace(PENDING, created=oldest - timedelta(seconds=1)), payment())
    assert belongs_to(PENDING, payment())


MADE = replace(PENDING, invoice_url="https://pay/1", expiry_date=NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "PAID"},
        {"status": "EXPIRED"},
        {"status": "REQUIRES_ACTION"},
        {"amount": Decimal(149_999)},
        {"currency": "USD"},
        {"invoice_url": None},
        {"expiry_date": None},
    ],
)
def test_only_a_pending_invoice_of_our_amount_that_can_be_paid_is_offered_as_it_is(changes: dict[str, Any]) -> None:
    waiting = payment(invoice_id=None)
    assert offered_as_made([MADE], waiting) == MADE
    assert offered_as_made([replace(MADE, **changes)], waiting) is None


def test_nothing_is_offered_as_it_is_where_there_is_more_to_decide() -> None:
    assert offered_as_made([MADE, replace(MADE, id="twin")], payment(invoice_id=None)) is None
    assert offered_as_made([], payment(invoice_id=None)) is None
    assert offered_as_made([MADE], payment()) is None
    assert offered_as_made([MADE], payment(Status.FAILED, invoice_id=None)) is None
