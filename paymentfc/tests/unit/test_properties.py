"""Random callbacks and polls of a payment: the first one that decides is final, and no money is lost."""

import json
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from paymentfc.errors import NotACallback
from paymentfc.handler.schemas import read_callback
from paymentfc.model.callback import KNOWN_WORDS, Anomaly, AnomalyKind, Callback, Outcome, amount_text, decide
from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import MAX_ID, Payment, Status, external_id, named_order

from .samples import payment

OURS, OTHER = "inv-1", "inv-2"
AMOUNT = Decimal("150000.00")
PAID_WORDS = ("PAID", "SETTLED")


@dataclass
class Book:
    """A payment that only decisions change, as settlement changes it, and its anomalies."""

    payment: Payment
    moves: int = 0
    late: bool = False
    anomalies: list[Anomaly] = field(default_factory=list)

    def apply(self, callback: Callback) -> None:
        decision = decide(self.payment, callback)
        if decision.adopt:
            self.payment = replace(self.payment, invoice_id=callback.invoice_id)
        if decision.outcome in (Outcome.PAID, Outcome.EXPIRED):
            self.move(Status(decision.outcome.name))
        self.late |= decision.outcome is Outcome.LATE
        self.anomalies += decision.anomalies

    def move(self, status: Status) -> None:
        assert self.payment.status is Status.PENDING, f"a decision moves a payment that is {self.payment.status}"
        self.payment = replace(self.payment, status=status)
        self.moves += 1

    def reject(self) -> None:
        """Close the payment as stock.rejected does: only while it is open."""
        if self.payment.is_open:
            self.move(Status.FAILED)

    def kinds(self, *kinds: AnomalyKind) -> list[Anomaly]:
        return [anomaly for anomaly in self.anomalies if anomaly.kind in kinds]


amounts = st.sampled_from(["150000", "150000.00", "150000", "149999", "150000.01", "0"]).map(Decimal)
words = st.sampled_from(["PAID", "SETTLED", "EXPIRED", "PENDING", "REFUNDED"])
invoices = st.sampled_from([OURS, OURS, OURS, OTHER])
webhooks = st.builds(
    Callback,
    invoices,
    st.just("order-7"),
    words,
    amounts,
    st.none() | amounts,
    st.sampled_from(["IDR", "IDR", "USD", ""]),
)
polls = st.builds(
    lambda word, asked, paid, currency: Invoice(OURS, "order-7", word, asked, currency, paid).as_callback("IDR"),
    words,
    amounts,
    st.none() | amounts,
    st.sampled_from(["IDR", "USD", ""]),
)
news = (
    st.lists(webhooks | polls, max_size=12)
    .flatmap(
        lambda told: st.tuples(st.just(told), st.lists(st.sampled_from(told), max_size=6) if told else st.just([]))
    )
    .flatmap(lambda pair: st.permutations([*pair[0], *pair[1]]))
)


def fits(callback: Callback) -> bool:
    """Whether amount and currency are exactly ours; for an expired invoice the asked amount counts."""
    money = callback.amount
    if callback.paid_amount is not None and callback.status != "EXPIRED":
        money = callback.paid_amount
    return callback.currency == "IDR" and money == AMOUNT


def pays(callback: Callback, invoice_id: str = OURS) -> bool:
    """Whether this is exactly the money of the payment."""
    return callback.invoice_id == invoice_id and callback.status in PAID_WORDS and fits(callback)


def ends(callback: Callback, invoice_id: str = OURS) -> bool:
    """Whether this is the expiry of our invoice."""
    return callback.invoice_id == invoice_id and callback.status == "EXPIRED" and fits(callback)


def applied(told: list[Callback], invoice_id: str | None = OURS) -> Book:
    book = Book(payment(invoice_id=invoice_id))
    for callback in told:
        book.apply(callback)
    return book


@given(news)
def test_the_first_news_that_decides_is_the_end_and_only_pending_ever_moves(told: list[Callback]) -> None:
    book = applied(told)
    first = next((callback for callback in told if pays(callback) or ends(callback)), None)
    expected = Status.PENDING if first is None else Status.PAID if pays(first) else Status.EXPIRED
    assert book.payment.status is expected
    assert book.moves == (first is not None)


@given(news)
def test_money_that_matches_is_never_lost(told: list[Callback]) -> None:
    book = applied(told)
    if any(pays(callback) for callback in told):
        assert book.payment.status is Status.PAID or (book.late and book.kinds(AnomalyKind.PAID_AFTER_CLOSE))
    else:
        assert book.payment.status is not Status.PAID
        assert not book.late


@given(news, st.integers(0, 18))
def test_money_for_a_closed_payment_is_an_anomaly_every_time_and_for_no_other(told: list[Callback], at: int) -> None:
    book = Book(payment())
    for number, callback in enumerate(told):
        if number == at:
            book.reject()
        closed = book.payment.status in (Status.EXPIRED, Status.FAILED)
        before = len(book.kinds(AnomalyKind.PAID_AFTER_CLOSE))
        book.apply(callback)
        assert len(book.kinds(AnomalyKind.PAID_AFTER_CLOSE)) - before == (closed and pays(callback))


@given(news)
def test_whatever_does_not_fit_is_recorded_and_nothing_else_is(told: list[Callback]) -> None:
    for callback in told:
        book = applied([callback])
        foreign, unknown = callback.invoice_id != OURS, callback.status not in KNOWN_WORDS
        kinds = {anomaly.kind for anomaly in book.anomalies}
        if foreign or unknown:
            assert kinds == {AnomalyKind.UNKNOWN_INVOICE if foreign else AnomalyKind.UNKNOWN_STATUS}
        else:
            assert bool(kinds) is not fits(callback)
            assert (AnomalyKind.CURRENCY_MISMATCH in kinds) is (callback.currency != "IDR")


@given(news)
def test_the_first_invoice_whose_money_fits_becomes_ours_when_we_did_not_know_it(told: list[Callback]) -> None:
    book = applied(told, None)
    decided = ("PAID", "SETTLED", "EXPIRED")
    first = next((callback for callback in told if callback.status in decided and fits(callback)), None)
    assert book.payment.invoice_id == (first.invoice_id if first else None)
    if first is not None:
        assert book.payment.status is (Status.PAID if pays(first, first.invoice_id) else Status.EXPIRED)
        foreign = [callback for callback in told[told.index(first) :] if callback.invoice_id != first.invoice_id]
        assert len(book.kinds(AnomalyKind.UNKNOWN_INVOICE)) == len(foreign)


decimals = st.decimals(allow_nan=False, allow_infinity=False) | st.builds(
    lambda sign, number, exponent: Decimal((sign, tuple(map(int, str(number))), exponent)),
    st.integers(0, 1),
    st.integers(0, 10**45),
    st.integers(-400, 400),
)


@given(decimals, decimals, st.integers(0, 6))
def test_amounts_have_equal_texts_exactly_when_they_are_equal(one: Decimal, other: Decimal, zeros: int) -> None:
    sign, digits, exponent = one.as_tuple()
    assert isinstance(exponent, int)
    longer = Decimal((sign, (*digits, *(0,) * zeros), exponent - zeros))
    # Next to it, and in the last of more digits than decimal's own context keeps.
    near = Decimal((sign, (*digits[:-1], (digits[-1] + 1) % 10), exponent))
    for second in (other, longer, near, -one):
        assert (amount_text(one) == amount_text(second)) is (one == second)
    assert Decimal(amount_text(one)) == one


@given(st.integers(1, MAX_ID))
def test_the_name_of_an_order_at_the_gateway_reads_back(order_id: int) -> None:
    assert named_order(external_id(order_id)) == order_id


@given(st.text(max_size=30) | st.from_regex(r"order-[0-9]{1,20}"))
def test_only_the_one_spelling_of_an_id_names_an_order(text: str) -> None:
    order_id = named_order(text)
    assert order_id is None or (external_id(order_id) == text and order_id <= MAX_ID)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = st.fixed_dictionaries(
    {},
    optional={
        name: json_values | st.sampled_from(["PAID", "order-7", 150000, "x" * 256])
        for name in ("id", "external_id", "status", "amount", "paid_amount", "currency", "more")
    },
)
bodies = st.binary(max_size=60) | json_values.map(json.dumps).map(str.encode) | fields.map(json.dumps).map(str.encode)


@given(bodies)
def test_any_body_is_a_callback_or_is_refused_as_none(body: bytes) -> None:
    try:
        callback, text = read_callback(body)
    except NotACallback:
        return
    assert text.encode() == body
    assert callback.judged_amount.is_finite()


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40),
    st.integers(-(10**20), 10**20),
)
def test_what_a_callback_says_is_read_exactly(word: str, hundredths: int) -> None:
    amount = Decimal(hundredths).scaleb(-2)
    said: dict[str, Any] = {"id": OURS, "external_id": "order-7", "status": word, "currency": "IDR"}
    callback, _ = read_callback(f'{json.dumps(said)[:-1]}, "amount": {amount:f}}}'.encode())
    assert callback == Callback(OURS, "order-7", word, amount, None, "IDR")
