"""The page: what is quoted of which result, and when a target counts as met."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.speed.picture import draw
from bench.speed.report import cells, compared, page, write
from bench.speed.results import save
from bench.speed.targets import LINES, Line
from lint.markdown import LONGEST_TABLE_LINE

READ = Line("read", "rate", "a read", "/s", 16_000, 3_390, 0.50, 0.70, "raw")
START = Line("start", "seconds", "start", "s", None, 3.4, 2.0, 1.5, lower=True)


def result(date: str = "2026-11-28T10:00:00Z", name: str = "", **rows: Any) -> dict[str, Any]:
    measured = {
        row: {"figures": {figure: spread(value)}, "cpu_us": {"productfc": 42.0}, "shares": {}, "floor": floor}
        for row, (figure, value, floor) in rows.items()
    }
    machine = {"cores": 2, "cpu": "CPU", "memory_gib": 23, "kernel": "6", "python": "3.11.7"}
    return {
        "date": date,
        "commit": "abc",
        "command": "make bench",
        "seconds": 900,
        "machine": machine,
        "rows": {name: measured},
        "errors": {"burst": "the bound\nwas reached"},
        "audits": {"": []},
        "busy_percent_before": 1.5,
    }


def spread(value: float) -> dict[str, Any]:
    return {"median": value, "min": value * 0.9, "max": value * 1.1, "values": [value]}


RAW = {"name": "raw", "rate": 40_000.0}


@pytest.mark.parametrize(("rate", "met"), [(19_000.0, "no"), (20_000.0, "yes"), (28_000.0, "goal")])
def test_a_target_beside_a_floor_is_a_share_of_it(rate: float, met: str) -> None:
    shown = cells(READ, None, result(read=("rate", rate, RAW)))
    assert shown[5] == f"{rate / 40_000:.2f}"
    assert shown[6:8] == ["0.5 of raw", "0.7 of raw"]
    assert shown[-1] == met


def test_without_its_floor_nothing_is_said_of_a_target_beside_it() -> None:
    for floor in (None, {"name": "pgbench", "rate": 1.0}):
        shown = cells(READ, None, result(read=("rate", 39_000.0, floor)))
        assert (shown[5], shown[-1]) == ("-", "-")


@pytest.mark.parametrize(("seconds", "met"), [(2.1, "no"), (2.0, "yes"), (1.5, "goal")])
def test_less_is_better_where_the_line_says_so(seconds: float, met: str) -> None:
    assert cells(START, None, result(start=("seconds", seconds, None)))[-1] == met


def test_go_before_the_first_and_the_last_result_stand_side_by_side() -> None:
    first, last = result(read=("rate", 5_000.0, RAW)), result(read=("rate", 23_303.0, RAW))
    shown = cells(READ, first, last)
    assert shown[:5] == ["a read", "16,000", "3,390", "5,000", "23,303 (20,973-25,633)"]


def test_the_page_quotes_the_newest_result_that_has_a_row_and_nothing_where_none_has() -> None:
    old = result("2026-11-27T10:00:00Z", ping=("rate", 8_000.0, RAW), webhook=("rate", 455.0, None))
    new = result("2026-11-28T10:00:00Z", ping=("rate", 30_000.0, RAW))
    text = page([old, new])
    [ping] = [line for line in text.splitlines() if line.startswith("| `GET /ping`, 32")]
    assert "| 8,000 | 30,000 (27,000-33,000) | 0.75 |" in ping
    [webhook] = [line for line in text.splitlines() if line.startswith("| webhook, 16")]
    assert "| 455 | 455 (" in webhook
    [stock] = [line for line in text.splitlines() if line.startswith("| stock consumer")]
    assert "| - | - | - |" in stock
    assert "audit exact" in text
    assert "Not measured: burst: the bound was reached" in text
    assert max(len(line) for line in text.splitlines() if line.startswith("|")) <= LONGEST_TABLE_LINE


def test_the_page_can_be_written_before_anything_was_measured() -> None:
    text = page([])
    assert "No run has been kept yet." in text
    assert all(line.title in text for line in LINES)


def test_the_picture_is_drawn_and_shown_when_both_of_its_rows_were_measured(tmp_path: Path) -> None:
    page_, picture = tmp_path / "bench.md", tmp_path / "one-order.svg"
    save(result(steady=("p50_ms", 25.0, None)), tmp_path / "results")
    write(tmp_path / "results", page_, picture)
    assert not picture.exists()
    assert "one-order.svg" not in page_.read_text()
    save(result("2026-11-28T11:00:00Z", burst=("rate", 200.0, None)), tmp_path / "results")
    write(tmp_path / "results", page_, picture)
    assert "<svg" in picture.read_text()
    assert "(../img/one-order.svg)" in page_.read_text()


def test_two_sides_are_shown_with_their_ratio() -> None:
    both = result(name="this", ping=("rate", 9_000.0, None))
    both["rows"] |= result(name="abc1", ping=("rate", 6_000.0, None))["rows"]
    shown = StringIO()
    compared(both, ("this", "abc1"), Console(file=shown, width=200))
    [line] = [line for line in shown.getvalue().splitlines() if "GET /ping" in line]
    assert "1.50" in line


def test_the_picture_shows_steps_in_the_order_of_their_time_and_only_parts_that_took_some() -> None:
    picture = draw({"order completed": 20.0, "answered": 5.0}, {"orderfc": 3_000.0, "xendit": 900.0, "kafka": 0.0})
    assert picture.index("answered") < picture.index("order completed")
    assert "3.0 ms" in picture
    assert "xendit" not in picture
    assert "kafka" not in picture
