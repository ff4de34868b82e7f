"""Random news of a payment from webhooks and polls, against what the contract says of the first news that decides."""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from paymentfc.errors import NotACallback
from paymentfc.handler.schemas import read_callback
from paymentfc.model.callback import KNOWN_WORDS, Anomaly, AnomalyKind, Callback, Outcome, amount_text, decide
from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import MAX_ID, Payment, Status, external_id, named_order

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OURS, OTHER = "inv-1", "inv-2"
AMOUNT = Decimal("150000.00")
PAID_WORDS = ("PAID", "SETTLED")


def payment(invoice_id: str | None = OURS) -> Payment:
    """Make an open payment of 150,000 rupiah."""
    return Payment(
        id=1, order_id=7, user_id=3, user_email=None, external_id="order-7", amount=AMOUNT, currency="IDR",
        status=Status.PENDING, reason=None, invoice_id=invoice_id, invoice_url=None, expires_at=None, paid_at=None,
        late_paid_at=None, retry_count=0, traceparent=None, create_time=NOW, update_time=NOW,
    )  # fmt: skip


@dataclass
class Book:
    """A payment changed only by decisions, as settlement changes it, and what was recorded on the way."""

    payment: Payment
    moves: int = 0
    late: bool = False
    anomalies: list[Anomaly] = field(default_factory=list)

    def hear(self, callback: Callback) -> None:
        """Apply what the gateway says."""
        decision = decide(self.payment, callback)
        if decision.adopt:
            self.payment = replace(self.payment, invoice_id=callback.invoice_id)
        if decision.outcome in (Outcome.PAID, Outcome.EXPIRED):
            self.move(Status(decision.outcome.name))
        self.late |= decision.outcome is Outcome.LATE
        self.anomalies += decision.anomalies

    def move(self, status: Status) -> None:
        """Leave PENDING."""
        assert self.payment.status is Status.PENDING, f"a decision moves a payment that is {self.payment.status}"
        self.payment = replace(self.payment, status=status)
        self.moves += 1

    def reject(self) -> None:
        """Let stock.rejected close the payment, which it does only while it is open."""
        if self.payment.is_open:
            self.move(Status.FAILED)

    def kinds(self, *kinds: AnomalyKind) -> list[Anomaly]:
        """Give the anomalies of these kinds."""
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
    words, amounts, st.none() | amounts, st.sampled_from(["IDR", "USD", ""]),
)  # fmt: skip
news = (
    st.lists(webhooks | polls, max_size=12)
    .flatmap(
        lambda told: st.tuples(st.just(told), st.lists(st.sampled_from(told), max_size=6) if told else st.just([]))
    )
    .flatmap(lambda pair: st.permutations([*pair[0], *pair[1]]))
)


def fits(callback: Callback) -> bool:
    """Say whether the money is ours to the last unit; an expired invoice got none, so what was asked counts."""
    money = callback.amount
    if callback.paid_amount is not None and callback.status != "EXPIRED":
        money = callback.paid_amount
    return callback.currency == "IDR" and money == AMOUNT


def pays(callback: Callback, invoice_id: str = OURS) -> bool:
    """Say whether this is exactly the money that the payment waits for."""
    return callback.invoice_id == invoice_id and callback.status in PAID_WORDS and fits(callback)


def ends(callback: Callback, invoice_id: str = OURS) -> bool:
    """Say whether this is the end of our invoice without money."""
    return callback.invoice_id == invoice_id and callback.status == "EXPIRED" and fits(callback)


def heard(told: list[Callback], invoice_id: str | None = OURS) -> Book:
    """Let everything arrive in turn."""
    book = Book(payment(invoice_id))
    for callback in told:
        book.hear(callback)
    return book


@given(news)
def test_the_first_news_that_decides_is_the_end_and_only_pending_ever_moves(told: list[Callback]) -> None:
    book = heard(told)
    first = next((callback for callback in told if pays(callback) or ends(callback)), None)
    expected = Status.PENDING if first is None else Status.PAID if pays(first) else Status.EXPIRED
    assert book.payment.status is expected
    assert book.moves == (first is not None)


@given(news)
def test_money_that_matches_is_never_lost(told: list[Callback]) -> None:
    book = heard(told)
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
        book.hear(callback)
        assert len(book.kinds(AnomalyKind.PAID_AFTER_CLOSE)) - before == (closed and pays(callback))


@given(news)
def test_whatever_does_not_fit_is_recorded_and_nothing_else_is(told: list[Callback]) -> None:
    for callback in told:
        book = heard([callback])
        foreign, unknown = callback.invoice_id != OURS, callback.status not in KNOWN_WORDS
        kinds = {anomaly.kind for anomaly in book.anomalies}
        if foreign or unknown:
            assert kinds == {AnomalyKind.UNKNOWN_INVOICE if foreign else AnomalyKind.UNKNOWN_STATUS}
        else:
            assert bool(kinds) is not fits(callback)
            assert (AnomalyKind.CURRENCY_MISMATCH in kinds) is (callback.currency != "IDR")


@given(news)
def test_the_first_invoice_whose_money_fits_becomes_ours_when_we_did_not_know_it(told: list[Callback]) -> None:
    book = heard(told, None)
    decided = ("PAID", "SETTLED", "EXPIRED")
    first = next((callback for callback in told if callback.status in decided and fits(callback)), None)
    assert book.payment.invoice_id == (first.invoice_id if first else None)
    if first is not None:
        assert book.payment.status is (Status.PAID if pays(first, first.invoice_id) else Status.EXPIRED)
        foreign = [callback for callback in told[told.index(first) :] if callback.invoice_id != first.invoice_id]
        assert len(book.kinds(AnomalyKind.UNKNOWN_INVOICE)) == len(foreign)


decimals = st.decimals(allow_nan=False, allow_infinity=False) | st.builds(
    lambda sign, number, exponent: Decimal((sign, tuple(map(int, str(number))), exponent)),
    st.integers(0, 1), st.integers(0, 10**45), st.integers(-400, 400),
)  # fmt: skip


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
    optional={name: json_values | st.sampled_from(["PAID", "order-7", 150000, "x" * 256])
              for name in ("id", "external_id", "status", "amount", "paid_amount", "currency", "more")},
)  # fmt: skip
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
