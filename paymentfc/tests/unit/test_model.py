"""The payment's state machine: every pair of statuses, every kind of amount, and random sequences of callbacks."""

from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymentfc.model.callback import AnomalyKind, Callback, Decision, Outcome, amount_text, decide, would_end
from paymentfc.model.payment import Status

from .samples import payment

WORDS = ("PENDING", "PAID", "SETTLED", "EXPIRED", "REFUNDED")


def callback(
    status: str = "PAID", amount: str = "150000", paid: str | None = None, currency: str = "IDR", invoice: str = "inv-1"
) -> Callback:
    return Callback(invoice, "order-7", status, Decimal(amount), Decimal(paid) if paid else None, currency)


EXPECTED = {
    (Status.PENDING, "PENDING"): Outcome.NOTHING,
    (Status.PENDING, "PAID"): Outcome.PAID,
    (Status.PENDING, "SETTLED"): Outcome.PAID,
    (Status.PENDING, "EXPIRED"): Outcome.EXPIRED,
    (Status.PAID, "PENDING"): Outcome.NOTHING,
    (Status.PAID, "PAID"): Outcome.NOTHING,
    (Status.PAID, "SETTLED"): Outcome.NOTHING,
    (Status.PAID, "EXPIRED"): Outcome.NOTHING,
    (Status.EXPIRED, "PENDING"): Outcome.NOTHING,
    (Status.EXPIRED, "PAID"): Outcome.LATE,
    (Status.EXPIRED, "SETTLED"): Outcome.LATE,
    (Status.EXPIRED, "EXPIRED"): Outcome.NOTHING,
    (Status.FAILED, "PENDING"): Outcome.NOTHING,
    (Status.FAILED, "PAID"): Outcome.LATE,
    (Status.FAILED, "SETTLED"): Outcome.LATE,
    (Status.FAILED, "EXPIRED"): Outcome.NOTHING,
}


@pytest.mark.parametrize(("status", "word"), list(product(Status, WORDS)))
def test_every_pair_of_payment_and_callback_status_has_its_one_outcome(status: Status, word: str) -> None:
    expected = EXPECTED.get((status, word), Outcome.ANOMALY)
    decision = decide(payment(status), callback(word))
    assert decision.outcome is expected
    assert not decision.adopt
    kinds = [anomaly.kind for anomaly in decision.anomalies]
    by_outcome = {Outcome.LATE: [AnomalyKind.PAID_AFTER_CLOSE], Outcome.ANOMALY: [AnomalyKind.UNKNOWN_STATUS]}
    assert kinds == by_outcome.get(expected, [])


@pytest.mark.parametrize("word", WORDS)
def test_what_would_end_an_open_payment_is_what_xendit_has_to_confirm(word: str) -> None:
    assert would_end(callback(word)) is decide(payment(), callback(word)).needs_confirmation


@pytest.mark.parametrize(
    ("amount", "paid", "outcome"),
    [
        ("150000", None, Outcome.PAID),
        ("150000.00", "150000.0", Outcome.PAID),
        ("150000", "149999", Outcome.ANOMALY),
        ("1", "150000", Outcome.PAID),
        ("0", None, Outcome.ANOMALY),
        ("-150000", None, Outcome.ANOMALY),
        ("150000.01", None, Outcome.ANOMALY),
        ("1E+309", None, Outcome.ANOMALY),
        ("150000.0000000000000000000001", None, Outcome.ANOMALY),
    ],
)
def test_only_exactly_our_amount_pays_and_what_was_paid_beats_what_was_asked(
    amount: str, paid: str | None, outcome: Outcome
) -> None:
    decision = decide(payment(), callback(amount=amount, paid=paid))
    assert decision.outcome is outcome
    if outcome is Outcome.ANOMALY:
        assert [anomaly.kind for anomaly in decision.anomalies] == [AnomalyKind.AMOUNT_MISMATCH]


@pytest.mark.parametrize("currency", ["", "USD", "idr"])
def test_another_currency_never_pays(currency: str) -> None:
    decision = decide(payment(), callback(currency=currency))
    assert decision.outcome is Outcome.ANOMALY
    assert [anomaly.kind for anomaly in decision.anomalies] == [AnomalyKind.CURRENCY_MISMATCH]


def test_expired_is_judged_by_what_was_asked_because_nothing_was_paid() -> None:
    assert decide(payment(), callback("EXPIRED", paid="0")).outcome is Outcome.EXPIRED
    assert decide(payment(), callback("EXPIRED", amount="1")).outcome is Outcome.ANOMALY


@pytest.mark.parametrize("word", WORDS)
def test_another_invoice_of_our_order_is_an_anomaly_whatever_it_says(word: str) -> None:
    decision = decide(payment(), callback(word, invoice="inv-2"))
    assert [anomaly.kind for anomaly in decision.anomalies] == [AnomalyKind.UNKNOWN_INVOICE]


def test_the_expiry_of_a_surplus_invoice_that_we_closed_ourselves_is_no_news_but_its_money_is() -> None:
    assert decide(payment(), callback("EXPIRED", invoice="inv-2"), stray=True) == Decision(Outcome.NOTHING)
    assert decide(payment(), callback("PAID", invoice="inv-2"), stray=True).outcome is Outcome.ANOMALY


@pytest.mark.parametrize("word", ["PAID", "SETTLED", "EXPIRED"])
def test_a_callback_that_overtakes_our_knowledge_of_its_invoice_is_taken_when_its_money_fits(word: str) -> None:
    assert decide(payment(invoice_id=None), callback(word)).adopt
    assert not decide(payment(invoice_id=None), callback(word, amount="1")).adopt
    assert not decide(payment(invoice_id=None), callback("PENDING")).adopt


callbacks = st.builds(
    callback,
    status=st.sampled_from(WORDS),
    amount=st.sampled_from(["150000", "1", "0"]),
    currency=st.sampled_from(["IDR", "USD"]),
    invoice=st.sampled_from(["inv-1", "inv-2"]),
)


@given(st.lists(callbacks, max_size=12), st.sampled_from([None, "inv-1"]))
def test_no_sequence_of_callbacks_leaves_a_final_status_or_pays_without_exact_money(
    sequence: list[Callback], invoice_id: str | None
) -> None:
    current = payment(invoice_id=invoice_id)
    moves = 0
    for item in sequence:
        decision = decide(current, item)
        if decision.adopt:
            current = replace(current, invoice_id=item.invoice_id)
        if decision.outcome in (Outcome.PAID, Outcome.EXPIRED):
            assert current.is_open
            assert item.judged_amount == current.amount
            assert item.currency == "IDR"
            assert item.invoice_id == current.invoice_id
            current = replace(current, status=Status(decision.outcome.name))
            moves += 1
    assert moves <= 1


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2))
def test_equal_amounts_have_equal_texts_that_read_back_exactly(amount: Decimal) -> None:
    assert amount_text(amount) == amount_text(Decimal(f"{amount}00"))
    assert Decimal(amount_text(amount)) == amount


@pytest.mark.parametrize(
    ("amount", "text"), [("150000.00", "150000"), ("0.50", "0.5"), ("0E+5", "0"), ("1E+309", "1E+309"), ("-0", "0")]
)
def test_amount_texts_are_plain(amount: str, text: str) -> None:
    assert amount_text(Decimal(amount)) == text
