"""The order's transition table and the basket's rules."""

import itertools
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import AppError, Invalid, NotFound
from orderfc.errors import InsufficientStock, NotCancellable, PriceMismatch
from orderfc.model import (
    BasketLine,
    Cause,
    Draft,
    Line,
    Product,
    Status,
    Transition,
    cancel,
    check_total,
    may_return_stock,
    merge,
    moves,
    price_basket,
    transition,
)

CREATED, PROCESSING, COMPLETED, CANCELLED, FAILED = Status
PAID, PAYMENT_FAILED, STOCK_REJECTED = Cause.PAID, Cause.PAYMENT_FAILED, Cause.STOCK_REJECTED
CUSTOMER = Cause.CUSTOMER
EVENTS = (PAID, PAYMENT_FAILED, STOCK_REJECTED)


@pytest.mark.parametrize(
    ("status", "cause", "new", "rollback"),
    [
        (CREATED, PAID, COMPLETED, False),
        (CREATED, PAYMENT_FAILED, CANCELLED, True),
        (CREATED, STOCK_REJECTED, CANCELLED, False),
        (CREATED, CUSTOMER, CANCELLED, True),
        (COMPLETED, PAYMENT_FAILED, FAILED, True),
        (COMPLETED, STOCK_REJECTED, FAILED, False),
        (CANCELLED, PAID, FAILED, False),
        (COMPLETED, PAID, None, False),
        (CANCELLED, PAYMENT_FAILED, None, False),
        (CANCELLED, STOCK_REJECTED, None, False),
        *[(status, CUSTOMER, None, False) for status in (PROCESSING, COMPLETED, CANCELLED, FAILED)],
        *[(FAILED, cause, None, False) for cause in EVENTS],
        *[(PROCESSING, cause, None, False) for cause in EVENTS],
    ],
)
def test_each_cause_moves_an_order_only_where_the_contract_says(
    status: Status, cause: Cause, new: Status | None, rollback: bool
) -> None:
    assert transition(status, cause) == Transition(new, rollback)


def test_the_table_of_the_update_has_what_each_cause_makes_of_each_status() -> None:
    assert [status.value for status in Status] == [0, 1, 2, 3, 4]
    assert moves(PAID) == [COMPLETED, None, None, FAILED, None]
    assert moves(PAYMENT_FAILED) == moves(STOCK_REJECTED) == [CANCELLED, None, FAILED, None, None]


def test_only_a_payment_that_fails_and_the_customer_may_return_stock() -> None:
    assert [cause for cause in Cause if may_return_stock(cause)] == [PAYMENT_FAILED, CUSTOMER]


def test_a_request_to_cancel_ends_an_open_order_and_leaves_a_cancelled_one() -> None:
    assert cancel(7, CREATED) == Transition(CANCELLED, publish_rollback=True)
    assert cancel(7, CANCELLED) == Transition()


@pytest.mark.parametrize("status", [PROCESSING, COMPLETED, FAILED])
def test_a_request_to_cancel_is_refused_once_the_order_is_paid_or_failed(status: Status) -> None:
    with pytest.raises(NotCancellable, match=f"order 7 is {status.wire} and can't be cancelled any more"):
        cancel(7, status)


def declared(arrived: set[Cause]) -> Status:
    """Say what the contract declares for a set of arrived events."""
    paid, refused = PAID in arrived, bool(arrived & {PAYMENT_FAILED, STOCK_REJECTED})
    if paid and refused:
        return FAILED
    if paid:
        return COMPLETED
    return CANCELLED if refused else CREATED


def run(causes: tuple[Cause, ...]) -> tuple[Status, list[tuple[Status, Cause]]]:
    """Apply the causes in turn; return the end and (status entered, cause) of each published rollback."""
    status, rollbacks = CREATED, []
    for cause in causes:
        change = transition(status, cause)
        status = status if change.status is None else change.status
        if change.publish_rollback:
            rollbacks.append((status, cause))
    return status, rollbacks


def hold(causes: tuple[Cause, ...]) -> None:
    status, rollbacks = run(causes)
    assert status is declared(set(causes))
    assert len(rollbacks) <= 1
    first = next((cause for cause in causes if cause is not PAID), None)
    # The first failed or rejected is what cancels or fails the order, so it alone decides on the rollback.
    assert bool(rollbacks) is (first is PAYMENT_FAILED)
    assert all(cause is PAYMENT_FAILED for _, cause in rollbacks)


@pytest.mark.parametrize("length", range(7))
def test_every_permutation_with_duplicates_ends_in_the_declared_status_with_at_most_one_rollback(length: int) -> None:
    for causes in itertools.product(EVENTS, repeat=length):
        hold(causes)


@given(st.lists(st.sampled_from(EVENTS), max_size=40))
def test_any_longer_run_of_events_keeps_the_same_rule(causes: list[Cause]) -> None:
    hold(tuple(causes))


def test_a_product_named_twice_becomes_one_line_in_the_order_of_first_mention() -> None:
    merged = merge([BasketLine(2, 1), BasketLine(1, 2, Decimal(5)), BasketLine(2, 3, Decimal(7))])
    assert merged == (BasketLine(2, 4, Decimal(7)), BasketLine(1, 2, Decimal(5)))


@pytest.mark.parametrize(
    "lines",
    [
        [BasketLine(1, 1, Decimal(5)), BasketLine(1, 1, Decimal(6))],
        [BasketLine(1, 600), BasketLine(1, 401)],
        [BasketLine(1, 0)],
        [BasketLine(1, -1)],
        [BasketLine(1, 2**31)],
    ],
)
def test_a_basket_that_contradicts_itself_or_asks_too_much_is_refused(lines: list[BasketLine]) -> None:
    with pytest.raises(Invalid):
        merge(lines)


def test_the_same_price_written_differently_is_one_price() -> None:
    assert merge([BasketLine(1, 1, Decimal("5.0")), BasketLine(1, 1, Decimal(5))]) == (BasketLine(1, 2, Decimal(5)),)


PRODUCTS = {1: Product(1, "Kopi", Decimal(150000), 5), 2: Product(2, "Teh", Decimal(0), 1)}


def test_lines_are_priced_by_the_product_not_by_the_client() -> None:
    lines = price_basket([BasketLine(1, 5), BasketLine(2, 1, Decimal(0))], PRODUCTS)
    assert lines == (Line(1, "Kopi", 5, Decimal(150000)), Line(2, "Teh", 1, Decimal(0)))


@pytest.mark.parametrize(
    ("basket", "error", "sentence"),
    [
        ([BasketLine(1, 6)], InsufficientStock, "product stock is not enough for product 1"),
        ([BasketLine(1, 5, Decimal(149999))], PriceMismatch, "price mismatch for product 1"),
        ([BasketLine(1, 6), BasketLine(9, 1)], NotFound, "product 9 not found"),
    ],
)
def test_a_basket_that_can_not_be_served_is_refused_with_the_product_named(
    basket: list[BasketLine], error: type[AppError], sentence: str
) -> None:
    with pytest.raises(error) as raised:
        price_basket(basket, PRODUCTS)
    assert raised.value.message == sentence


def draft(*prices: str, currency: str = "IDR", quantity: int = 1) -> Draft:
    lines = tuple(Line(n, "x", quantity, Decimal(price)) for n, price in enumerate(prices, 1))
    return Draft(1, lines, currency, "CARD", "here")


def test_a_draft_adds_up_its_lines_exactly() -> None:
    order = draft("0.10", "0.20", currency="USD", quantity=3)
    assert (order.total_amount, order.total_quantity) == (Decimal("0.90"), 6)
    check_total(order)


@pytest.mark.parametrize("order", [draft("0"), draft("10.5"), draft("9999999999", "1"), draft("0.001", currency="USD")])
def test_a_total_of_nothing_or_one_that_the_currency_can_not_express_is_refused(order: Draft) -> None:
    with pytest.raises(Invalid):
        check_total(order)


def test_the_largest_total_is_accepted() -> None:
    check_total(draft("9999999998", "1"))
