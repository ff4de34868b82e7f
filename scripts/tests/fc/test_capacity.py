"""`fc capacity`: what a load needs, from measured costs, and what gives first."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fc.ops.capacity import POOL, bounds, disk_gib, needs, newest
from fc.stack.errors import StackError

from .conftest import Ended

ALONE = {"orders": 1.0}


def row(figures: dict[str, float] | None = None, **cpu_us: float) -> dict[str, Any]:
    return {"cpu_us": cpu_us, "figures": {name: {"median": value} for name, value in (figures or {}).items()}}


def result(date: str = "2026-11-28T01:00:00Z", **rows: dict[str, Any]) -> dict[str, Any]:
    """Return a result in which an order costs paymentfc 4 ms and PostgreSQL 3 ms, and a log-in userfc 30 ms."""
    all_rows = {
        "burst": row(
            {"postgres_kib": 10.0, "wal_kib": 40.0, "kafka_kib": 2.0}, paymentfc=4000, orderfc=2000, postgres=3000
        ),
        "read-200": row(productfc=100, redis=4),
        "search-20": row(productfc=600, postgres=150),
        "login": row(userfc=30_000),
        **rows,
    }
    return {"date": date, "commit": "abc", "machine": {"cores": 2, "cpu": "A"}, "rows": {"": all_rows}}


def test_cores_are_what_the_load_costs_and_processes_keep_below_their_share() -> None:
    mix = {"orders": 1.0, "reads": 50.0, "searches": 10.0, "logins": 0.5}
    found = {need.part: need for need in needs(result(), 100, mix, 0.6)}
    assert found["userfc"].cores == pytest.approx(100 * 0.5 * 0.030)
    assert found["productfc"].cores == pytest.approx(100 * (50 * 0.0001 + 10 * 0.0006))
    assert found["PostgreSQL"].cores == pytest.approx(100 * (0.003 + 10 * 0.00015))
    assert (found["userfc"].processes, found["userfc"].connections) == (3, 3 * (POOL + 1))
    assert (found["paymentfc"].processes, found["PostgreSQL"].processes) == (1, None)


def test_a_part_that_costs_nothing_still_needs_a_process() -> None:
    found = {need.part: need for need in needs(result(), 0.01, ALONE, 0.6)}
    assert (found["userfc"].cores, found["userfc"].processes) == (0, 1)


def test_bounds_are_sorted_and_follow_from_the_dearest_service_postgresql_and_the_relay() -> None:
    found = bounds(result(relay=row({"rate": 24_000.0})), ALONE, 0.6, 6)
    assert [round(bound.orders) for bound in found] == [150, 400, 900, 3200, 12_000]
    assert "paymentfc" in found[0].what
    assert "6 partitions" in found[2].what


def test_without_the_row_of_the_relay_its_bound_is_not_claimed() -> None:
    assert not [bound for bound in bounds(result(), ALONE, 0.6, 6) if "relay" in bound.what]


def test_disk_is_that_of_a_day_and_nothing_where_it_was_not_measured() -> None:
    assert disk_gib(result(), 1.0) == pytest.approx({"postgres": 0.824, "wal": 3.296, "kafka": 0.165}, rel=0.01)
    assert disk_gib(result(burst=row(paymentfc=1)), 1.0) == {}


def test_the_newest_result_with_all_rows_counts(tmp_path: Path) -> None:
    partial = result("2026-11-29T01:00:00Z")
    del partial["rows"][""]["login"]
    for number, one in enumerate((result("2026-11-27T01:00:00Z"), result("2026-11-28T01:00:00Z"), partial)):
        (tmp_path / f"{number}.json").write_text(json.dumps(one), encoding="utf-8")
    assert newest(tmp_path)["date"] == "2026-11-28T01:00:00Z"


def test_without_a_result_the_rows_that_are_needed_are_named(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="burst, read-200, search-20, login"):
        newest(tmp_path)


def test_the_command_says_what_passes_at_that_load_and_where_its_costs_are_from(fc: Callable[[str], Ended]) -> None:
    said = fc("capacity --orders-per-second 1e6")
    assert said.code == 0, said.err
    parts = "part userfc productfc orderfc paymentfc PostgreSQL Kafka Redis MongoDB all"
    assert [line.split("\t")[0] for line in said.out.splitlines()] == parts.split()
    assert said.err.count("passed") == 5
    assert "1,000,000 orders a second" in said.err


@pytest.mark.parametrize("line", ["capacity", "capacity --orders-per-second 0", "capacity --orders-per-second many"])
def test_an_invalid_load_is_refused(fc: Callable[[str], Ended], line: str) -> None:
    assert fc(line).code == 2
