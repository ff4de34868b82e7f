"""Which processes belong to a stack, and how they are ended."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from fc.stack import processes
from fc.stack.processes import MARK
from testkit import eventually

Waiting = Callable[..., "subprocess.Popen[str]"]

# Each says in a line that it is there and then waits.
IDLE = "import signal; print('there', flush=True); signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('there', flush=True); signal.pause()"
POLITE = """
import os, pathlib, signal, sys
def leave(*_):
    pathlib.Path(os.environ["NOTE"]).write_text("bye")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("there", flush=True)
signal.pause()
"""


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_the_processes_of_a_stack_are_those_that_carry_its_mark(waiting: Waiting, tmp_path: Path) -> None:
    ours, _other, _none = waiting(IDLE, **{MARK: str(tmp_path)}), waiting(IDLE, **{MARK: "/other"}), waiting(IDLE)
    for process in (ours, _other, _none):
        assert first_line(process) == "there"
    assert [item.pid for item in processes.of_stack(tmp_path)] == [ours.pid]
    # A folder whose name only begins like the stack's is another stack's.
    assert processes.of_stack(tmp_path.parent) == []


def test_an_orphan_is_found_by_its_mark_whoever_its_parent_is_now(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        ["sh", "-c", "sleep 600 & echo $!"], env={**os.environ, MARK: str(tmp_path)}, stdout=subprocess.PIPE, text=True
    )
    orphan = int(first_line(parent))
    try:
        assert parent.wait(10) == 0
        found = processes.of_stack(tmp_path)
        assert [item.pid for item in found] == [orphan]
        assert found[0].ppid() != parent.pid
        assert processes.end(found) == 1
        assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(orphan, signal.SIGKILL)
        if parent.stdout:
            parent.stdout.close()


def test_ending_asks_first_so_that_a_process_can_put_its_things_in_order(waiting: Waiting, tmp_path: Path) -> None:
    note = tmp_path / "note"
    process = waiting(POLITE, NOTE=str(note))
    first_line(process)
    assert processes.end([psutil.Process(process.pid)]) == 1
    assert note.read_text() == "bye"
    assert not psutil.pid_exists(process.pid)


def test_ending_insists_where_asking_does_not_help(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(processes, "TERMINATE_S", 0.3)
    deaf, polite = waiting(DEAF), waiting(POLITE, NOTE=str(tmp_path / "note"))
    for process in (deaf, polite):
        first_line(process)
    assert processes.end([psutil.Process(deaf.pid), psutil.Process(polite.pid)]) == 2
    assert not psutil.pid_exists(deaf.pid)
    assert (tmp_path / "note").exists()


async def test_ending_what_has_ended_already_is_no_error(waiting: Waiting) -> None:
    process = waiting(IDLE)
    first_line(process)
    found = psutil.Process(process.pid)
    process.kill()
    process.wait(10)
    await eventually(lambda: not found.is_running())
    assert processes.end([found]) == 1
    assert processes.end([]) == 0
