"""Lines, axes and figures as text."""

import pytest

from console.model.lines import MAX_LINES, Chart, Line
from console.model.ring import EVERY_S
from console.model.written import per_second, seconds

from .looks import BEGIN


def chart(*lines: list[float | None]) -> Chart:
    made = [
        Line(f"line {number}", [(BEGIN + EVERY_S * index, value) for index, value in enumerate(values)])
        for number, values in enumerate(lines)
    ]
    return Chart("x", "X", made, per_second, BEGIN + 900, width=180, height=100)


def test_a_line_is_a_path_with_gaps() -> None:
    drawn = chart([0, 10, None, 10, None, 0, 0, 0, 0, 5])
    assert drawn.top == 10
    assert drawn.path(drawn.lines[0]) == "M0 100 L1 2 M3 2h1 M5 100 L8 100 L9 51"
    assert drawn.area(drawn.lines[0]) == ""
    assert drawn.marks == [(2, "10/s"), (51, "5.0/s"), (100, "0/s")]


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 1), (0.003, 0.003), (0.0071, 0.0075), (1, 1), (11, 15), (76, 100), (1501, 2000)]
)
def test_the_axis_ends_at_a_round_number(highest: float, top: float) -> None:
    assert chart([0, highest]).top == pytest.approx(top)


def test_no_more_lines_are_drawn_than_can_be_told_apart() -> None:
    drawn = chart([1.0], [1.0], [1.0], [1.0], [1.0], [1.0], [1.0], [1.0])
    assert len(drawn.shown) == MAX_LINES


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (per_second(None), "-"),
        (per_second(0), "0/s"),
        (per_second(0.05), "3.0/min"),
        (per_second(1234), "1,234/s"),
        (seconds(0.0042), "4.2 ms"),
        (seconds(0.25), "250 ms"),
        (seconds(3.25), "3.2 s"),
        (seconds(600), "10 min"),
        (seconds(float("nan")), "-"),
    ],
)
def test_figures_are_written_for_people(written: str, expected: str) -> None:
    assert written == expected
