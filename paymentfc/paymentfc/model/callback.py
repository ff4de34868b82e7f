"""The effect of the gateway's answers on a payment: one pure decision for webhook, sweep, status check and look-up."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from paymentfc.model.payment import CLOSED, Payment

PAID_WORDS = frozenset({"PAID", "SETTLED"})
EXPIRED_WORD = "EXPIRED"
PENDING_WORD = "PENDING"
KNOWN_WORDS = PAID_WORDS | {EXPIRED_WORD, PENDING_WORD}
MAX_PLAIN_DIGITS = 30


class AnomalyKind(StrEnum):
    """The kinds of cases that an administrator has to look at."""

    AMOUNT_MISMATCH = "amount_mismatch"
    CURRENCY_MISMATCH = "currency_mismatch"
    PAID_AFTER_CLOSE = "paid_after_close"
    UNKNOWN_STATUS = "unknown_status"
    UNKNOWN_INVOICE = "unknown_invoice"
    PAID_TWICE = "paid_twice"
    UNCONFIRMED = "unconfirmed"


# Money of another amount or currency than the payment's: the order can't be served for it.
WRONG_MONEY = (AnomalyKind.AMOUNT_MISMATCH, AnomalyKind.CURRENCY_MISMATCH)
# Without an administrator such an order would be open for ever.
CLOSABLE = (*WRONG_MONEY, AnomalyKind.UNKNOWN_STATUS)


class Outcome(StrEnum):
    """The effect of a callback.

    WAITING: its payment does not exist yet. CONFIRMING: Xendit is asked before it takes effect. UNCONFIRMED: Xendit
    has contradicted it for days.
    """

    PAID = "paid"
    EXPIRED = "expired"
    LATE = "paid_after_close"
    ANOMALY = "anomaly"
    NOTHING = "nothing"
    WAITING = "waiting"
    CONFIRMING = "confirming"
    UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True, slots=True)
class Callback:
    """The state of one invoice as the gateway reports it, in a webhook or in the answer to a query.

    `receipt` is Xendit's `payment_id`: one invoice may be paid more than once.
    """

    invoice_id: str
    external_id: str
    status: str
    amount: Decimal
    paid_amount: Decimal | None = None
    currency: str = ""
    receipt: str | None = None

    @property
    def says_paid(self) -> bool:
        return self.status in PAID_WORDS

    @property
    def judged_amount(self) -> Decimal:
        """The paid amount where the callback has one, else the amount of the invoice."""
        if self.paid_amount is not None and self.status != EXPIRED_WORD:
            return self.paid_amount
        return self.amount


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A difference between our records and the gateway's; both sides as text.

    With `receipt` it is about that one of several payments.
    """

    kind: AnomalyKind
    expected: str
    received: str
    receipt: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The effect of a callback. With `adopt` its invoice becomes the payment's own."""

    outcome: Outcome
    anomalies: tuple[Anomaly, ...] = ()
    adopt: bool = False

    @property
    def needs_confirmation(self) -> bool:
        """Whether the payment changes, so that a forged callback would do harm."""
        return self.adopt or self.outcome in (Outcome.PAID, Outcome.EXPIRED, Outcome.LATE)


def would_end(callback: Callback) -> bool:
    """Whether a callback ends an open payment that has exactly its amount and currency, and its invoice or none."""
    return callback.says_paid or callback.status == EXPIRED_WORD


def decide(payment: Payment, callback: Callback, *, stray: bool = False) -> Decision:
    """Decide what a callback does to a payment. A payment that is not PENDING never changes its status.

    `stray`: the callback's invoice is a surplus one that this service has expired.
    """
    word = callback.status
    if payment.invoice_id not in (None, callback.invoice_id):
        if stray and not callback.says_paid:
            return Decision(Outcome.NOTHING)
        return _anomaly(AnomalyKind.UNKNOWN_INVOICE, str(payment.invoice_id), f"{callback.invoice_id} {word}")
    if word not in KNOWN_WORDS:
        return _anomaly(AnomalyKind.UNKNOWN_STATUS, ", ".join(sorted(KNOWN_WORDS)), word)
    further = (paid_twice(payment, callback),) if is_further(payment, callback) else ()
    if contradictions := further or _mismatches(payment, callback):
        return Decision(Outcome.ANOMALY, contradictions)
    adopt = payment.invoice_id is None and word != PENDING_WORD
    if callback.says_paid and payment.status in CLOSED:
        late = Anomaly(AnomalyKind.PAID_AFTER_CLOSE, payment.status.value, word)
        return Decision(Outcome.LATE, (late,), adopt)
    if payment.is_open and callback.says_paid:
        return Decision(Outcome.PAID, adopt=adopt)
    if payment.is_open and word == EXPIRED_WORD:
        return Decision(Outcome.EXPIRED, adopt=adopt)
    return Decision(Outcome.NOTHING, adopt=adopt)


def _anomaly(kind: AnomalyKind, expected: str, received: str) -> Decision:
    return Decision(Outcome.ANOMALY, (Anomaly(kind, expected, received),))


def is_further(payment: Payment, callback: Callback) -> bool:
    """Whether the callback is about another payment of the invoice than the one that was taken."""
    return (
        callback.says_paid
        and payment.was_paid
        and None not in {payment.receipt, callback.receipt}
        and (payment.receipt != callback.receipt)
    )


def paid_twice(payment: Payment, callback: Callback) -> Anomaly:
    received = f"{callback.receipt} {amount_text(callback.judged_amount)}"
    return Anomaly(AnomalyKind.PAID_TWICE, payment.receipt or "one payment", received, callback.receipt)


def unconfirmed(callback: Callback, word: str) -> Anomaly:
    """`word` is what Xendit says instead."""
    return Anomaly(AnomalyKind.UNCONFIRMED, word, callback.status)


def _mismatches(payment: Payment, callback: Callback) -> tuple[Anomaly, ...]:
    mismatches = []
    if callback.currency != payment.currency:
        mismatches.append(Anomaly(AnomalyKind.CURRENCY_MISMATCH, payment.currency, callback.currency))
    if callback.judged_amount != payment.amount:
        expected, received = amount_text(payment.amount), amount_text(callback.judged_amount)
        mismatches.append(Anomaly(AnomalyKind.AMOUNT_MISMATCH, expected, received))
    return tuple(mismatches)


def amount_text(amount: Decimal) -> str:
    """Write an amount so that equal amounts have equal texts: `150000`, `0.5`, `1E+309`."""
    sign, digits, exponent = amount.as_tuple()
    if not isinstance(exponent, int):
        return str(amount)
    while len(digits) > 1 and digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    if digits == (0,):
        return "0"
    exact = Decimal((sign, digits, exponent))
    return format(exact, "f") if abs(exact.adjusted()) <= MAX_PLAIN_DIGITS else str(exact)
