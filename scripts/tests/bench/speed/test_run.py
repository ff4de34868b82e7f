"""The rounds: in turn, each failure for itself, within the bound, and ended by the audit where orders were made."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from bench.speed import plan, run
from bench.speed.errors import Unmeasured
from bench.speed.figures import Sample
from bench.speed.pace import TINY, Pace
from bench.speed.rows import Group, Row
from bench.speed.run import Run, progress_bar
from bench.speed.side import Side

PACE = replace(TINY, rounds=2, bound_s=30)


def side(name: str = "") -> Any:
    return SimpleNamespace(name=name, home=Path("/stack"), root=Path("/checkout"))


@pytest.fixture
def seen() -> list[str]:
    return []


def planned(monkeypatch: pytest.MonkeyPatch, before: list[Group], after: list[Group] | None = None) -> None:
    monkeypatch.setattr(plan, "BEFORE_AUDIT", before)
    monkeypatch.setattr(plan, "AFTER_AUDIT", after or [])


def row(name: str, seen: list[str], value: Callable[[], float] = lambda: 1.0, floor: str = "") -> Row:
    def measure(side: Side, _pace: Pace) -> Sample:
        seen.append(f"{name} {side.name}".strip())
        return Sample({"rate": value()})

    return Row(name, measure, "orderfc", floor)


def measured(*sides: Any, pace: Pace = PACE) -> Run:
    one = Run(sides or (side(),), pace, [], progress_bar(Console(quiet=True)))
    one.all()
    return one


def fails(text: str) -> Callable[[], float]:
    def raise_it() -> float:
        raise Unmeasured(text)

    return raise_it


def test_rows_and_their_floor_are_measured_in_turn(monkeypatch: pytest.MonkeyPatch, seen: list[str]) -> None:
    def floor(_side: Side, _pace: Pace) -> float:
        seen.append("floor")
        return 10.0

    planned(monkeypatch, [Group([row("a", seen, floor="raw"), row("b", seen)], floors={"raw": floor})])
    found = measured().as_json()
    assert seen == ["floor", "a", "b"] * 2
    assert found["rows"][""]["b"]["floor"] is None
    assert found["rows"][""]["a"]["floor"] == {"name": "raw", "rate": 10.0}
    assert found["floors"]["raw"]["values"] == [10.0, 10.0]


def test_two_sides_take_turns_in_being_first(monkeypatch: pytest.MonkeyPatch, seen: list[str]) -> None:
    planned(monkeypatch, [Group([row("a", seen)])])
    measured(side("this"), side("other"))
    assert seen == ["a this", "a other", "a other", "a this"]


def test_a_row_that_fails_keeps_its_reason_and_what_it_had_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, seen: list[str]
) -> None:
    values = iter([5.0])
    planned(monkeypatch, [Group([row("bad", seen, lambda: next(values)), row("good", seen)])])
    found = measured().as_json()
    assert found["rows"][""]["good"]["figures"]["rate"]["values"] == [1.0, 1.0]
    assert found["rows"][""]["bad"]["figures"]["rate"]["values"] == [5.0]
    assert list(found["errors"]) == ["bad"]


def test_a_group_that_cannot_be_prepared_is_left_out_whole(monkeypatch: pytest.MonkeyPatch, seen: list[str]) -> None:
    def prepare(_side: Side, _pace: Pace) -> None:
        raise Unmeasured("orderfc ended: /stack/orderfc.log, /checkout/orderfc")

    planned(monkeypatch, [Group([row("a", seen), row("b", seen)], prepare=prepare), Group([row("c", seen)])])
    found = measured().as_json()
    assert seen == ["c", "c"]
    assert found["errors"] == dict.fromkeys("ab", "orderfc ended: (stack)/orderfc.log, (checkout)/orderfc")


def test_what_is_wrong_at_the_end_of_a_group_is_an_error_of_its_rows(
    monkeypatch: pytest.MonkeyPatch, seen: list[str]
) -> None:
    def finish(_side: Side, _pace: Pace) -> None:
        raise Unmeasured("10 orders were answered, 9 are stored")

    planned(monkeypatch, [Group([row("a", seen)], finish=finish)])
    assert measured().as_json()["errors"] == {"a": "10 orders were answered, 9 are stored"}


def test_a_floor_that_fails_leaves_its_rows(monkeypatch: pytest.MonkeyPatch, seen: list[str]) -> None:
    planned(monkeypatch, [Group([row("a", seen)], floors={"pgbench": lambda _side, _pace: fails("no pgbench")()})])
    found = measured().as_json()
    assert found["rows"][""]["a"]["floor"] is None
    assert found["errors"] == {"pgbench": "no pgbench"}


def test_the_bound_ends_a_row_that_hangs_and_keeps_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, seen: list[str]
) -> None:
    def hang() -> float:
        time.sleep(20)
        return 1.0

    planned(monkeypatch, [Group([row("a", seen)]), Group([row("hangs", seen, hang)]), Group([row("late", seen)])])
    found = measured(pace=replace(PACE, bound_s=0.3)).as_json()
    assert list(found["rows"][""]) == ["a"]
    assert found["errors"] == dict.fromkeys(("hangs", "late"), "the bound of 0 s was reached first")


def test_the_audit_follows_the_rows_that_make_orders_and_comes_before_invented_events(
    monkeypatch: pytest.MonkeyPatch, seen: list[str]
) -> None:
    def audit(_side: Side) -> list[str]:
        seen.append("audit")
        return ["order 7 in /stack"]

    monkeypatch.setattr(run, "audit", audit)
    planned(monkeypatch, [Group([row("orders", seen)], orders=True)], [Group([row("events", seen)])])
    found = measured().as_json()
    assert seen == ["orders", "orders", "audit", "events", "events"]
    assert found["audits"] == {"": ["order 7 in (stack)"]}
    planned(monkeypatch, [Group([row("reads", seen)])])
    assert measured().as_json()["audits"] == {}
