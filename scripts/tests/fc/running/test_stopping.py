"""`down` leaves no process and no half-written file; the data stays until it is wiped."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from fc.stack import ports, processes
from fc.stack.errors import StackError
from fc.stack.layout import PORTS
from fc.stack.local import Stack

from ..conftest import Ended, clean_environment
from .conftest import Buyer, alive, all_ready, family, pids, within

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

Fc = Callable[[str], Ended]

# What a server or a tool leaves when it is cut off: locks, process ids, sockets, files that were to be renamed.
HALF_WRITTEN = ("*.pid", "*.sock", "*.sock.*", "*.tmp", "temp-*", "making", "*.aof.tmp", ".lock")


def left_behind(stack: Stack) -> list[str]:
    """Return the open ports and processes that a stopped stack has left."""
    found = [str(path) for pattern in HALF_WRITTEN for path in stack.home.rglob(pattern)]
    found += [f"port {name}" for name in PORTS if ports.is_taken(stack.layout.port(name))]
    found += [str(process) for process in processes.of_stack(stack.home)]
    return found + ([str(stack.layout.socket)] if stack.layout.socket.exists() else [])


def command(stack: Stack, line: str, checkout: Path, told: dict[str, str]) -> "subprocess.Popen[str]":
    """Start a command as a process of its own, as from another shell."""
    root = f"import pathlib; from fc.stack import programs; programs.ROOT = pathlib.Path({str(checkout)!r})"
    offset = {"FC_HOME": str(stack.home), "FC_PORT_OFFSET": str(stack.layout.offset), "FC_NATIVE": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", f"{root}; import fc.__main__ as m; m.main()", line],
        env={**clean_environment(), **told, **offset},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_down_leaves_nothing_and_an_order_placed_before_is_there_after_the_next_up(
    stack: Stack, buyer: Buyer, fc: Fc, checkout: Path, told: dict[str, str]
) -> None:
    order = buyer.order()
    before = buyer.seen(order)
    running = family(stack)
    # The servers' own children are among them: PostgreSQL's do not carry the mark.
    assert len(running) > len(processes.of_stack(stack.home)) >= len(pids(stack))

    said = fc("down")
    assert (said.code, said.out) == (0, "Stopped.\n")
    assert alive(running) == []
    assert left_behind(stack) == []
    assert fc("down").out == "Nothing was running.\n"

    # While one command works, another is refused in a sentence, and does no harm.
    up = command(stack, "up", checkout, told)
    lock = stack.home / "lock"
    within(60, lambda: lock.read_text() == str(up.pid), "the other command works")
    for other in ("down", "up", "down --wipe"):
        said = fc(other)
        assert (said.code, said.out) == (1, "")
        assert said.err == f"fc: another fc command works on {stack.home} (process {up.pid})\n"
    out, _ = up.communicate(timeout=120)
    assert up.returncode == 0, out
    assert "The stack is up, all four services are ready" in out

    assert all_ready(stack)
    assert buyer.seen(order) == before
    buyer.pay(order)


def test_a_running_stack_can_not_be_wiped(stack: Stack) -> None:
    with pytest.raises(StackError, match="the stack is running: stop it first"):
        stack.wipe()
    assert all_ready(stack)


def test_down_after_a_killed_supervisor_leaves_nothing_either_and_wipe_removes_all_data(stack: Stack, fc: Fc) -> None:
    running = family(stack)
    supervisord = psutil.Process(pids(stack)["supervisord"])
    supervisord.kill()
    supervisord.wait(10)
    said = fc("status")
    assert said.code == 1
    rows = [words for line in said.out.splitlines() if "unsupervised" in (words := line.split())]
    assert {words[0]: int(words[2]) for words in rows} == {part.name: part.pid for part in stack.status()}
    assert all(part.pid for part in stack.status())
    assert "The supervisor has ended: `fc up` starts everything again." in said.out
    said = fc("down")
    assert (said.code, said.out) == (0, "Stopped.\n")
    assert alive(running) == []
    assert left_behind(stack) == []
    assert (stack.home / "data" / "postgres" / "data" / "PG_VERSION").exists()
    said = fc("down --wipe")
    assert (said.code, said.out) == (0, f"Nothing was running.\nRemoved all data and logs in {stack.home}.\n")
    assert [path.name for path in stack.home.iterdir()] == ["lock"]
