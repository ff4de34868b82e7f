"""The choice of a payment's invoice among those that the gateway has."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from paymentfc.model.invoices import CLOCK_TOLERANCE, Invoice, belongs_to, can_serve, choose
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
