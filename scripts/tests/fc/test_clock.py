"""`fc clock` as a person types it where no clock can be moved. On a running stack: tests/ops/test_clock.py."""

from collections.abc import Callable

import pytest

from fc.stack import compose
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
