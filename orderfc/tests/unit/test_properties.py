"""Any arrival of an order's events, and any basket, against what the contract says in sets and whole numbers."""

from collections import Counter
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Invalid
from orderfc.model import (
    BasketLine,
    Cause,
    Draft,
    Line,
    Product,
    Status,
    check_total,
    merge,
    price_basket,
    transition,
)

CAUSES = [Cause.PAID, Cause.PAYMENT_FAILED, Cause.STOCK_REJECTED, Cause.CUSTOMER]
REFUSALS = frozenset(CAUSES) - {Cause.PAID}
MAX_TOTAL = 9_999_999_999
DECIMALS = {"IDR": 0, "USD": 2}

causes = st.lists(st.sampled_from(CAUSES), max_size=12)


def declared(arrived: frozenset[Cause]) -> Status:
    """Say where an order stands that has heard of these causes, in whatever order: the contract's own words."""
    success = Cause.PAID in arrived
    refused = not arrived.isdisjoint(REFUSALS)
    return {
        (False, False): Status.CREATED,
        (True, False): Status.COMPLETED,
        (False, True): Status.CANCELLED,
        (True, True): Status.FAILED,
    }[success, refused]


def taken(sequence: list[Cause]) -> list[Cause]:
    """Leave out the customer's requests that are refused, as they come after the money."""
    first = sequence.index(Cause.PAID) if Cause.PAID in sequence else len(sequence)
    return [cause for at, cause in enumerate(sequence) if cause is not Cause.CUSTOMER or at < first]


def rollbacks_due(sequence: list[Cause]) -> int:
    """Say how often stock.rollback is due: once, with the first of cancelled and failed, unless nothing was taken."""
    refusals = [cause for cause in taken(sequence) if cause is not Cause.PAID]
    return int(bool(refusals) and refusals[0] is not Cause.STOCK_REJECTED)


def run(sequence: list[Cause]) -> tuple[list[Status], int]:
    """Apply the causes in turn; give the statuses entered, the first included, and the number of rollbacks."""
    entered, rollbacks = [Status.CREATED], 0
    for cause in taken(sequence):
        change = transition(entered[-1], cause)
        rollbacks += change.publish_rollback
        if change.status is not None:
            entered.append(change.status)
    return entered, rollbacks


@given(causes)
def test_after_every_event_the_status_is_what_the_set_of_events_so_far_declares(sequence: list[Cause]) -> None:
    for length in range(len(sequence) + 1):
        entered, rollbacks = run(sequence[:length])
        assert entered[-1] is declared(frozenset(taken(sequence[:length])))
        assert rollbacks == rollbacks_due(sequence[:length])


@given(causes.flatmap(lambda drawn: st.tuples(st.just(drawn), st.permutations(drawn))))
def test_two_permutations_of_the_same_events_end_in_the_same_status(pair: tuple[list[Cause], list[Cause]]) -> None:
    one, other = pair
    if frozenset(taken(one)) == frozenset(taken(other)):
        assert run(one)[0][-1] is run(other)[0][-1]


@given(causes)
def test_no_status_is_entered_twice_and_a_failed_order_stays_failed(sequence: list[Cause]) -> None:
    entered, rollbacks = run(sequence)
    assert max(Counter(entered).values()) == 1
    assert Status.FAILED not in entered[:-1]
    assert rollbacks <= 1


@given(causes, causes)
def test_a_repeated_event_changes_nothing_even_when_others_came_in_between(
    before: list[Cause], between: list[Cause]
) -> None:
    heard = before + between
    for repeated in before:
        assert run([*heard, repeated]) == run(heard)


@st.composite
def baskets(draw: st.DrawFn) -> tuple[str, list[BasketLine], dict[int, int]]:
    """Draw a currency, a basket that names products more than once, and each product's price in the smallest unit."""
    currency = draw(st.sampled_from(sorted(DECIMALS)))
    prices = draw(st.dictionaries(st.integers(1, 9), st.integers(0, MAX_TOTAL * 10 ** DECIMALS[currency]), min_size=1))
    wanted = []
    for product_id, quantity, shown in draw(
        st.lists(st.tuples(st.sampled_from(sorted(prices)), st.integers(1, 40), st.booleans()), min_size=1, max_size=20)
    ):
        wanted.append(BasketLine(product_id, quantity, amount(prices[product_id], currency) if shown else None))
    return currency, wanted, prices


def amount(units: int, currency: str) -> Decimal:
    """Make an amount of the currency's smallest units."""
    return Decimal(units).scaleb(-DECIMALS[currency])


def pieces(lines: list[BasketLine] | tuple[BasketLine, ...]) -> dict[int, int]:
    """Count the pieces of each product."""
    count: dict[int, int] = {}
    for line in lines:
        count[line.product_id] = count.get(line.product_id, 0) + line.quantity
    return count


@given(baskets())
def test_merging_keeps_the_pieces_of_every_product_in_one_line_each(
    basket: tuple[str, list[BasketLine], dict[int, int]],
) -> None:
    _, wanted, _ = basket
    merged = merge(wanted)
    assert pieces(merged) == pieces(wanted)
    assert [line.product_id for line in merged] == list(pieces(wanted))
    assert merge(merged) == merged
    shown = {line.product_id for line in wanted if line.price is not None}
    assert {line.product_id for line in merged if line.price is not None} == shown


@given(baskets())
def test_a_total_is_exact_to_the_last_unit_and_accepted_only_within_its_limits(
    basket: tuple[str, list[BasketLine], dict[int, int]],
) -> None:
    currency, wanted, prices = basket
    shelf = {number: Product(number, "x", amount(units, currency), 10_000) for number, units in prices.items()}
    draft = Draft(1, price_basket(merge(wanted), shelf), currency, "CARD", "here")
    units = sum(prices[number] * quantity for number, quantity in pieces(wanted).items())
    assert draft.total_amount.scaleb(DECIMALS[currency]) == units
    assert draft.total_quantity == sum(line.quantity for line in wanted)
    assert accepted(draft) == (0 < units <= MAX_TOTAL * 10 ** DECIMALS[currency])


@given(st.integers(0, MAX_TOTAL * 1000), st.sampled_from(sorted(DECIMALS)))
def test_a_total_finer_than_its_currency_is_refused(thousandths: int, currency: str) -> None:
    draft = Draft(1, (Line(1, "x", 1, Decimal(thousandths).scaleb(-3)),), currency, "CARD", "here")
    whole = thousandths % 10 ** (3 - DECIMALS[currency]) == 0
    assert accepted(draft) == (whole and thousandths > 0)


def accepted(draft: Draft) -> bool:
    """Whether the total is one that an order may have."""
    try:
        check_total(draft)
    except Invalid:
        return False
    return True
