"""`fc clock` as a person types it where no clock can be moved. On a running stack: tests/ops/test_clock.py."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from chassis import clock
from fc.ops import order_events
from fc.ops.clock import followed
from fc.platform.sources import Sources
from fc.stack import compose
from fc.stack.errors import StackError
from fc.stack.layout import Layout

from .conftest import Ended

Fc = Callable[[str], Ended]


def test_the_clock_of_a_new_stack_is_the_machines(fc: Fc) -> None:
    said = fc("clock")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("The clock of this stack is the machine's: 20")
    assert said.out.endswith(" UTC.\n")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "the stack does not run: `fc up` starts it"),
        ({"ENVIRONMENT": "production"}, "ENVIRONMENT=production is set: the clock moves in development only"),
        ({"XENDIT_BASE_URL": "https://api.xendit.co"}, "that Xendit has a clock of its own"),
    ],
)
def test_a_clock_that_not_all_would_follow_is_not_moved(
    fc: Fc, monkeypatch: pytest.MonkeyPatch, layout: Layout, settings: dict[str, str], says: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    said = fc("clock advance 24h")
    assert (said.code, said.out) == (1, "")
    assert says in said.err
    assert said.err.count("\n") == 1
    assert not (layout.home / "data").exists()


def test_containers_have_the_clock_of_their_machine(fc: Fc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "engine", lambda: "29.0.0")
    for line in ("clock", "clock advance 1h"):
        said = fc(line)
        assert (said.code, said.out) == (1, "")
        assert "containers have the clock of their machine" in said.err


@pytest.mark.parametrize("time", ["soon", "0s", "91d"])
def test_a_time_that_can_not_pass_is_refused_in_one_line(fc: Fc, time: str) -> None:
    said = fc(f"clock advance {time}")
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)


def test_what_the_command_says_of_a_clock_that_is_ahead(fc: Fc, layout: Layout) -> None:
    (layout.home / "data").mkdir(parents=True)
    (layout.home / "data" / "clock").write_bytes((93_600).to_bytes(8, "little"))
    assert "is 1 day, 2:00:00 ahead of the machine's: " in fc("clock").out


def test_the_help_says_what_the_command_does(fc: Fc) -> None:
    assert "never set back" in " ".join(fc("clock --help").out.split())


def test_a_command_reads_the_time_as_the_stack_does_and_only_while_it_runs(
    monkeypatch: pytest.MonkeyPatch, layout: Layout
) -> None:
    monkeypatch.setenv("FC_HOME", str(layout.home))
    monkeypatch.setenv("FC_NATIVE", "1")
    with followed():
        assert clock.ahead_s() == 0
    file = layout.home / "data" / "clock"
    file.parent.mkdir(parents=True)
    file.write_bytes(clock.AHEAD.pack(93_600))
    with followed():
        assert clock.ahead_s() == 93_600
    assert clock.ahead_s() == 0
    file.write_bytes(b"")
    with pytest.raises(StackError, match="can't be read"), followed():
        pass
    monkeypatch.setattr(compose, "engine", lambda: "29.0.0")
    with followed():
        assert clock.ahead_s() == 0


class NoRows:
    """Databases that have nothing of an order."""

    async def fetch(self, *_question: object) -> list[object]:
        return []


async def test_the_records_of_an_order_are_looked_for_by_the_machines_clock(
    fc: Fc, monkeypatch: pytest.MonkeyPatch, layout: Layout
) -> None:
    (layout.home / "data").mkdir(parents=True)
    (layout.home / "data" / "clock").write_bytes(clock.AHEAD.pack(93_600))
    asked: list[datetime] = []

    async def read(_sources: Sources, _key: str, since: datetime, _events: object) -> list[str]:
        asked.append(since)
        return []

    monkeypatch.setattr(order_events, "_read_topics", read)
    placed = datetime(2026, 11, 28, tzinfo=UTC)
    with followed():
        await order_events.find(Sources({}), NoRows(), "order-42", placed)  # type: ignore[arg-type]
    assert asked == [placed - timedelta(seconds=93_600) - order_events.SLACK]
