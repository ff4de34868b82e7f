"""A fault of `make mutants` that no longer fits the code fails the check."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from lint.planted import problems
from lint.sources import ROOT, Source
from mutants.faults import FAULTS, Fault

Plant = Callable[[Mapping[str, str]], list[Source]]

FAULT = Fault("no guard", "orderfc/orderfc/model.py", "if paid:\n", "if False:\n", "orderfc/tests/test_m.py::test_paid")


@pytest.fixture
def checkout(plant: Plant, tmp_path: Path) -> Path:
    plant({FAULT.file: "if paid:\n    ship()\n", "orderfc/tests/test_m.py": "def test_paid(): ...\n"})
    return tmp_path


def test_every_fault_fits_the_code_as_it_is() -> None:
    assert problems(ROOT, FAULTS) == []


def test_a_fault_that_fits_passes(checkout: Path) -> None:
    assert problems(checkout, [FAULT]) == []


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (replace(FAULT, sound="if paid():\n"), "its text occurs 0 times in orderfc/orderfc/model.py, not once"),
        (replace(FAULT, file="orderfc/gone.py"), "its text occurs 0 times in orderfc/gone.py, not once"),
        (replace(FAULT, faulty=FAULT.sound), "it changes nothing"),
        (replace(FAULT, faulty="if False\n"), "it leaves no valid Python: "),
        (replace(FAULT, catch="orderfc/tests/test_m.py::test_x"), "there is no test orderfc/tests/test_m.py::test_x"),
        (replace(FAULT, catch="orderfc/tests/gone.py::test_paid"), "there is no test orderfc/tests/gone.py::test_paid"),
    ],
)
def test_a_fault_that_does_not_fit_is_named(checkout: Path, fault: Fault, problem: str) -> None:
    [line] = problems(checkout, [fault])
    assert f"'no guard': {problem}" in line


def test_a_text_that_occurs_twice_is_named(plant: Plant, tmp_path: Path, checkout: Path) -> None:
    plant({FAULT.file: "if paid:\n    ship()\nif paid:\n    thank()\n"})
    assert ["its text occurs 2 times" in line for line in problems(tmp_path, [FAULT])] == [True]
