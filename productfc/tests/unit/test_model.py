"""The rules of the stock ledger, against a model that only states how an order may end."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productfc.model import Decision, Entry, LedgerState, Line, decide_return, decide_take, merge

LINES = [Line(1, 2), Line(2, 1)]


class Shelf:
    """Stock and ledger of one order in memory, changed only by decisions."""

    def __init__(self, free: dict[int, int]) -> None:
        self.free = dict(free)
        self.ledger: dict[int, Entry] = {}
        self.refusals: list[str] = []

    def apply(self, decision: Decision) -> None:
        for product_id, units in decision.changes.items():
            self.free[product_id] += units
        self.ledger.update({entry.product_id: entry for entry in decision.entries})
        if decision.refusal:
            self.refusals.append(decision.refusal)

    def receive(self, event: str, lines: list[Line]) -> None:
        ledger = list(self.ledger.values())
        if event == "updated":
            self.apply(decide_take(ledger, lines, self.free))
        else:
            self.apply(decide_return(ledger, lines))
        assert all(units >= 0 for units in self.free.values())

    @property
    def held(self) -> dict[int, int]:
        return {e.product_id: e.quantity for e in self.ledger.values() if e.state is LedgerState.TAKEN}


@pytest.mark.parametrize("free", [{1: 2, 2: 1}, {1: 9, 2: 9}, {1: 1, 2: 5}, {1: 5}, {}])
def test_any_order_and_number_of_updates_and_rollbacks_ends_in_the_same_stock(free: dict[int, int]) -> None:
    for length in range(1, 6):
        for events in itertools.product(["updated", "rollback"], repeat=length):
            shelf = Shelf(free)
            for event in events:
                shelf.receive(event, LINES)
            enough = all(free.get(line.product_id, -1) >= line.quantity for line in LINES)
            takes = enough and "rollback" not in events
            expected = {line.product_id: line.quantity for line in LINES} if takes else {}
            assert shelf.held == expected, events
            assert shelf.free == {n: units - expected.get(n, 0) for n, units in free.items()}, events
            assert len(shelf.refusals) == int(events[0] == "updated" and not enough), events


lines = st.lists(st.builds(Line, st.integers(1, 4), st.integers(1, 5)), min_size=1, max_size=6)


@given(
    free=st.dictionaries(st.integers(1, 4), st.integers(0, 12)),
    events=st.lists(st.tuples(st.sampled_from(["updated", "rollback"]), lines), max_size=8),
)
def test_stock_and_what_the_order_holds_always_add_up(
    free: dict[int, int], events: list[tuple[str, list[Line]]]
) -> None:
    shelf = Shelf(free)
    for event, event_lines in events:
        shelf.receive(event, merge(event_lines))
        assert {n: shelf.free[n] + shelf.held.get(n, 0) for n in free} == free


def test_a_product_named_twice_is_summed_and_lines_are_sorted_for_locking() -> None:
    assert merge([Line(9, 1), Line(3, 2), Line(9, 4)]) == [Line(3, 2), Line(9, 5)]


def test_one_short_line_refuses_the_whole_order_and_is_named() -> None:
    decision = decide_take([], [Line(1, 1), Line(7, 3)], {1: 5, 7: 2})
    assert decision.refusal == "product stock is not enough for product 7"
    assert not decision.changes
    assert {entry.state for entry in decision.entries} == {LedgerState.REJECTED}


def test_a_rollback_that_names_nothing_still_leaves_a_tombstone() -> None:
    shelf = Shelf({1: 5})
    shelf.receive("rollback", [])
    shelf.receive("updated", [Line(1, 1)])
    assert shelf.free == {1: 5}
