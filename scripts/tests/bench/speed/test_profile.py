"""What is read of py-spy's counts."""

import pytest

from bench.speed.errors import Unmeasured
from bench.speed.profile import found, functions

STACKS = [
    "run (loop.py:10);place (checkout.py:70);execute (asyncpg.py:5) 30",
    "run (loop.py:10);place (checkout.py:71) 10",
    "run (loop.py:11);log (logging.py:3);log (logging.py:9) 60",
    "",
]


def test_lines_of_a_function_are_added_up_alone_and_with_what_it_calls() -> None:
    shares = {name: (alone, inclusive) for name, alone, inclusive in functions(STACKS)}
    assert shares["run (loop.py)"] == (0.0, 1.0)
    assert shares["place (checkout.py)"] == (0.1, 0.4)
    assert shares["execute (asyncpg.py)"] == (0.3, 0.3)


def test_a_function_that_calls_itself_counts_once() -> None:
    assert dict((name, inclusive) for name, _, inclusive in functions(STACKS))["log (logging.py)"] == 0.6


def test_nothing_is_read_of_no_counts() -> None:
    assert functions([]) == []


def test_a_row_is_found_with_its_group_and_service() -> None:
    group, row = found("checkout-key")
    assert row.service == "orderfc"
    assert "pgbench" in group.floors
    with pytest.raises(Unmeasured, match="no row is named"):
        found("nothing")
