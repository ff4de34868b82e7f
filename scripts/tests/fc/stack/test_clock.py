"""How far the clock of a stack may be moved, and where it can't be."""

from pathlib import Path
from typing import cast

import pytest

from chassis.clock import AHEAD
from fc.stack.clock import StackClock, seconds
from fc.stack.errors import StackError
from fc.stack.layout import Layout
from fc.stack.local import Stack
from fc.stack.startup import Startup
from servers.postgres import DATABASES, Postgres


@pytest.mark.parametrize(
    ("text", "expected"), [("1s", 1), ("90s", 90), ("30m", 1800), ("24h", 86_400), ("7d", 604_800), ("90d", 7_776_000)]
)
def test_a_time_is_a_number_and_its_unit(text: str, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "24", "h", "1.5h", "-1h", "+1h", " 1h", "1h ", "1w", "1h30m", "٣h", "9999999999s"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(StackError, match="such as 90s, 30m, 24h or 7d"):
        seconds(text)


@pytest.mark.parametrize("text", ["0s", "0d", "91d", "2161h"])
def test_a_time_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(StackError, match="by 1s to 90d at a time, and never set back"):
        seconds(text)


class Databases:
    """Databases whose clock is only noted; from `failing` on they do not answer."""

    def __init__(self) -> None:
        self.set: dict[str, str] = {}
        self.failing: set[str] = set()

    async def connect(self, name: str) -> "Connection":
        if name in self.failing:
            raise TimeoutError
        return Connection(self, name)


class Connection:
    def __init__(self, databases: Databases, name: str) -> None:
        self._databases, self._name = databases, name

    async def execute(self, statement: str) -> None:
        if "clock.now()" in statement:
            self._databases.set[self._name] = statement

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("then", ["a smaller advance", "the next start"])
async def test_an_advance_that_failed_on_the_way_sets_no_database_back(tmp_path: Path, then: str) -> None:
    databases = Databases()
    clock = StackClock(Layout(tmp_path, 0), cast("Postgres", databases))
    clock.make()
    databases.failing = {DATABASES[-1]}
    with pytest.raises(StackError, match="can't be set"):
        await clock.advance(7200)
    assert clock.ahead_s == 0
    databases.failing = set()
    await (clock.advance(60) if then == "a smaller advance" else clock.install())
    assert clock.ahead_s == 7200
    assert all("'7200 seconds'" in statement for statement in databases.set.values())
    assert set(databases.set) == set(DATABASES)


async def test_production_does_not_start_on_data_from_later(tmp_path: Path) -> None:
    stack = Stack.for_tests(tmp_path, {"ENVIRONMENT": "production"})
    stack.programs.clock.make()
    stack.programs.clock.path.write_bytes(AHEAD.pack(60))
    with pytest.raises(StackError, match="production has none"):
        await Startup(stack.layout, stack.programs, stack.supervisor)._set_clock()
