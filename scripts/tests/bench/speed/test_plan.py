"""The rows: every line of the table is measured, and those that are asked for are chosen."""

import pytest

from bench.speed import plan
from bench.speed.errors import Unmeasured
from bench.speed.targets import FLOORS, LINES


def test_every_row_has_a_line_in_the_table_and_every_line_a_row() -> None:
    assert {line.row for line in LINES} == plan.rows().keys()


def test_every_floor_of_a_row_is_measured_in_its_rounds_and_the_one_of_its_targets() -> None:
    groups = (*plan.BEFORE_AUDIT, *plan.AFTER_AUDIT)
    assert [row.name for group in groups for row in group.rows if row.floor and row.floor not in group.floors] == []
    assert [line.row for line in LINES if line.floor and plan.rows()[line.row].floor != line.floor] == []
    assert {line.floor for line in LINES if line.floor} <= FLOORS.keys()


def test_only_the_rows_that_are_named_are_chosen() -> None:
    [group] = plan.chosen(plan.BEFORE_AUDIT, ["ping", "read-200"])
    assert [row.name for row in group.rows] == ["ping", "read-200"]
    assert group.floors
    assert plan.chosen(plan.AFTER_AUDIT, ["ping"]) == []
    assert plan.chosen(plan.AFTER_AUDIT, []) == list(plan.AFTER_AUDIT)


def test_an_unknown_row_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(Unmeasured, match=r"no row is named pign: there are .*ping"):
        plan.chosen(plan.BEFORE_AUDIT, plan.words("pign, ping"))
