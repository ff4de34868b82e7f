"""An invoice at the gateway, whether it confirms a callback, and the choice of the one that a payment offers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from paymentfc.model.callback import EXPIRED_WORD, PAID_WORDS, PENDING_WORD, Callback
from paymentfc.model.payment import Payment

CLOCK_TOLERANCE = timedelta(minutes=10)
_RANKS = dict.fromkeys(PAID_WORDS, 0) | {PENDING_WORD: 1}
_LAST_RANK = 2


@dataclass(frozen=True, slots=True)
class Invoice:
    """One invoice as the gateway shows it; amounts in units of `currency`, times aware UTC."""

    id: str
    external_id: str
    status: str
    amount: Decimal
    currency: str
    paid_amount: Decimal | None = None
    invoice_url: str | None = None
    expiry_date: datetime | None = None
    created: datetime | None = None
    receipt: str | None = None

    @property
    def shows_money(self) -> bool:
        """Whether it was paid; one paid after its end may keep the status EXPIRED."""
        came_late = self.status == EXPIRED_WORD and self.paid_amount is not None and self.paid_amount > 0
        return self.status in PAID_WORDS or came_late

    @property
    def is_final(self) -> bool:
        return self.status in PAID_WORDS or self.status == EXPIRED_WORD

    def as_callback(self, currency: str) -> Callback:
        """Return what the last webhook about this invoice would say.

        `currency` is used where the gateway leaves it out.
        """
        return Callback(
            invoice_id=self.id,
            external_id=self.external_id,
            status="PAID" if self.status == EXPIRED_WORD and self.shows_money else self.status,
            amount=self.amount,
            paid_amount=self.paid_amount,
            currency=self.currency or currency,
            receipt=self.receipt,
        )

    def confirms(self, callback: Callback) -> bool:
        """Whether the invoice is the callback's, and has ended: with money if the callback says so."""
        if (self.id, self.external_id) != (callback.invoice_id, callback.external_id):
            return False
        return self.shows_money if callback.says_paid else self.is_final

    def as_confirmed(self, callback: Callback, currency: str) -> Callback:
        """Return the callback in the gateway's own words."""
        own = self.as_callback(currency)
        return own if callback.says_paid else replace(own, status=self.status)


def belongs_to(invoice: Invoice, payment: Payment) -> bool:
    """Whether the invoice is not older than its payment.

    After the database was rebuilt, the gateway still has invoices of earlier orders with the same external id.
    """
    return invoice.created is None or invoice.created >= payment.create_time - CLOCK_TOLERANCE


def has_amount_of(invoice: Invoice, payment: Payment) -> bool:
    return invoice.amount == payment.amount and (invoice.currency or payment.currency) == payment.currency


def can_serve(invoice: Invoice, payment: Payment) -> bool:
    """Whether an invoice can become that of a payment which has none yet.

    One that expired before the customer could see its address does not serve an open payment: an outage of the
    gateway is waited out until INVOICE_GIVE_UP_S, and the order gets another invoice. Only a callback about the
    expired invoice, which the contract lets fail the payment, ends the order earlier.
    """
    return has_amount_of(invoice, payment) and not (payment.is_open and invoice.status == EXPIRED_WORD)


def choose(invoices: Iterable[Invoice], payment: Payment) -> Invoice | None:
    """Choose the payment's invoice: the stored one, else a paid one before a pending one before an expired one."""
    if payment.invoice_id is not None:
        return next((invoice for invoice in invoices if invoice.id == payment.invoice_id), None)
    candidates = [invoice for invoice in invoices if can_serve(invoice, payment)]
    return min(candidates, key=lambda invoice: _RANKS.get(invoice.status, _LAST_RANK), default=None)


def offered_as_made(invoices: Sequence[Invoice], payment: Payment) -> Invoice | None:
    """Return the one invoice of an open payment if customers can pay it, or None if there is more to decide."""
    if len(invoices) != 1 or not payment.needs_invoice:
        return None
    [made] = invoices
    payable = made.status == PENDING_WORD and made.invoice_url is not None and made.expiry_date is not None
    return made if payable and has_amount_of(made, payment) else None
