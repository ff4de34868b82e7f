"""The stock ledger's decisions for several orders, against a reference that follows the contract order by order."""

from collections import defaultdict
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from productfc.model import Decision, Entry, LedgerState, Line, decide_return, decide_take, merge

PRODUCTS, UNKNOWN_PRODUCT = (1, 2, 3), 4
ORDERS = (1, 2, 3, 4)

Basket = dict[int, int]


@dataclass(frozen=True)
class Event:
    """An event of an order, with the lines that it names."""

    topic: str
    order: int
    lines: tuple[Line, ...]


@dataclass
class Shelf:
    """Stock and ledger in memory, changed by decisions only, in the way of the repository's SQL."""

    free: Basket
    ledger: dict[int, dict[int, Entry]] = field(default_factory=lambda: defaultdict(dict))
    refused: list[int] = field(default_factory=list)

    def receive(self, event: Event) -> None:
        rows, lines = list(self.ledger[event.order].values()), merge(event.lines)
        if event.topic == "stock.updated":
            product_ids = {line.product_id for line in lines}
            free = {product: units for product, units in self.free.items() if product in product_ids}
            self.apply(event.order, decide_take(rows, lines, free))
        else:
            self.apply(event.order, decide_return(rows, lines))

    def apply(self, order: int, decision: Decision) -> None:
        """Insert rows, and change a row only while it is TAKEN."""
        for product, units in decision.changes.items():
            self.free[product] += units
        rows = self.ledger[order]
        for entry in decision.entries:
            if entry.product_id not in rows or rows[entry.product_id].state is LedgerState.TAKEN:
                rows[entry.product_id] = entry
        if decision.refusal is not None:
            self.refused.append(order)

    def held(self, product: int) -> int:
        entries = [rows[product] for rows in self.ledger.values() if product in rows]
        return sum(entry.quantity for entry in entries if entry.state is LedgerState.TAKEN)

    def state(self, order: int) -> str:
        """Return the one state of an order's rows, "" without rows."""
        states = {entry.state.value for entry in self.ledger[order].values()}
        assert len(states) <= 1, "an order is taken, refused or returned as a whole"
        return states.pop() if states else ""


@dataclass
class Reference:
    """The contract per order: the first event decides, and only a taken order can be returned."""

    free: Basket
    state: dict[int, str] = field(default_factory=dict)
    basket: dict[int, Basket] = field(default_factory=dict)

    def receive(self, event: Event) -> None:
        units_by_product: Basket = {}
        for line in event.lines:
            units_by_product[line.product_id] = units_by_product.get(line.product_id, 0) + line.quantity
        state = self.state.get(event.order)
        if event.topic == "stock.rollback":
            if state == "TAKEN":
                self.move(self.basket[event.order], 1)
            self.state[event.order] = {None: "TOMBSTONE", "TAKEN": "RELEASED"}.get(state, str(state))
        elif state is None:
            enough = all(self.free.get(product, -1) >= units for product, units in units_by_product.items())
            self.state[event.order] = "TAKEN" if enough else "REJECTED"
            self.basket[event.order] = units_by_product
            if enough:
                self.move(units_by_product, -1)

    def move(self, basket: Basket, sign: int) -> None:
        for product, units in basket.items():
            self.free[product] += sign * units


lines = st.lists(
    st.builds(Line, st.sampled_from([*PRODUCTS, *PRODUCTS, UNKNOWN_PRODUCT]), st.integers(1, 5)), min_size=1, max_size=4
).map(tuple)
shelves = st.fixed_dictionaries({product: st.integers(0, 12) for product in PRODUCTS})


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Draw events of several orders. All stock.updated of an order name one basket; rollbacks name any products."""
    baskets = draw(st.fixed_dictionaries({order: lines for order in ORDERS}))
    events = []
    for order in draw(st.lists(st.sampled_from(ORDERS), max_size=20)):
        if draw(st.booleans()):
            events.append(Event("stock.updated", order, baskets[order]))
        else:
            events.append(Event("stock.rollback", order, draw(st.just(baskets[order]) | lines | st.just(()))))
    return events


@given(shelves, histories())
def test_stock_is_never_below_zero_and_never_conjured(initial: Basket, events: list[Event]) -> None:
    shelf = Shelf(dict(initial))
    for event in events:
        shelf.receive(event)
        assert min(shelf.free.values()) >= 0
        assert {product: shelf.free[product] + shelf.held(product) for product in PRODUCTS} == initial


@given(shelves, histories())
def test_every_order_is_in_the_state_and_the_stock_at_the_level_that_the_contract_says(
    initial: Basket, events: list[Event]
) -> None:
    shelf, reference = Shelf(dict(initial)), Reference(dict(initial))
    for event in events:
        shelf.receive(event)
        reference.receive(event)
        assert shelf.free == reference.free
        assert {order: shelf.state(order) for order in reference.state} == reference.state
    assert sorted(shelf.refused) == sorted(order for order, state in reference.state.items() if state == "REJECTED")


@given(shelves, histories(), st.sampled_from(ORDERS), lines)
def test_an_order_that_was_rolled_back_first_never_takes_anything(
    initial: Basket, events: list[Event], order: int, basket: tuple[Line, ...]
) -> None:
    others = [event for event in events if event.order != order]
    with_it, without = Shelf(dict(initial)), Shelf(dict(initial))
    with_it.receive(Event("stock.rollback", order, ()))
    for event in others:
        with_it.receive(event)
        with_it.receive(Event("stock.updated", order, basket))
        without.receive(event)
    assert with_it.free == without.free
    assert order not in with_it.refused


@given(shelves, histories(), st.data())
def test_a_repeated_event_changes_nothing_whatever_came_in_between(
    initial: Basket, events: list[Event], data: st.DataObject
) -> None:
    shelf = Shelf(dict(initial))
    for event in events:
        shelf.receive(event)
    free, states = dict(shelf.free), {order: shelf.state(order) for order in ORDERS}
    for event in data.draw(st.lists(st.sampled_from(events), max_size=6) if events else st.just([])):
        shelf.receive(event)
    assert (shelf.free, {order: shelf.state(order) for order in ORDERS}) == (free, states)
