"""What supervisord keeps is started, kept and ended, and nothing of it is left behind."""

import contextlib
import json
import os
import signal
import stat
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from fc.stack import processes
from fc.stack.configuration import Program
from fc.stack.errors import StackError
from fc.stack.layout import Layout
from fc.stack.supervisor import Supervisor
from testkit import eventually

SHOW = "import json, os; print(json.dumps(dict(os.environ)), flush=True); import signal; signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('there', flush=True); signal.pause()"
AWKWARD = ["a b", "100%", "%(ENV_PATH)s", "a,b=c", "(x)", "\\", "back\\slash\\", "#first", ";first", "a;b#c", "Größe"]


def idle(name: str, **environment: str) -> Program:
    return Program(name, [sys.executable, "-c", SHOW], environment, stop_wait_s=5)


def kill_all(layout: Layout) -> None:
    """End all processes, also those that a supervisor restarts before it ends itself."""
    while found := processes.of_stack(layout.home):
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, timeout=10)


@pytest.fixture
def supervisor(layout: Layout) -> Iterator[Supervisor]:
    """A supervisor that is not launched yet, and is gone at the end with all that it started."""
    yield Supervisor(layout)
    kill_all(layout)


def environment_of(layout: Layout, name: str) -> dict[str, str] | None:
    """Read the environment that a program printed at its last start."""
    path = layout.log(name)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return dict(json.loads(lines[-1])) if lines else None


def running_as(supervisor: Supervisor, name: str, instead_of: int = 0) -> int | None:
    """Return the process id of a running program, once it differs from `instead_of`."""
    state = supervisor.state(name)
    return state.pid if state.detail == "RUNNING" and state.pid != instead_of else None


def test_the_configuration_is_readable_by_its_owner_only_also_where_one_was_left_open(
    supervisor: Supervisor, layout: Layout
) -> None:
    path = layout.home / "run" / "supervisord.conf"
    path.parent.mkdir(parents=True)
    path.write_text("left")
    path.chmod(0o644)
    supervisor.launch([idle("p", DB_PASSWORD="secret")], dict(os.environ))
    assert "secret" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(layout.socket.stat().st_mode) == 0o600


async def test_a_program_gets_its_own_settings_the_base_and_the_mark_and_no_others_settings(
    supervisor: Supervisor, layout: Layout
) -> None:
    awkward = {f"AWKWARD_{number}": value for number, value in enumerate(AWKWARD)}
    supervisor.launch([idle("one", **awkward), idle("other", ONLY="here")], {**os.environ, "BASE": "50% of it"})
    for name in ("one", "other"):
        supervisor.start(name)
    one = await eventually(lambda: environment_of(layout, "one"))
    other = await eventually(lambda: environment_of(layout, "other"))
    assert {name: value for name, value in one.items() if name.startswith("AWKWARD_")} == awkward
    assert "ONLY" not in one
    assert not [name for name in other if name.startswith("AWKWARD_")]
    assert one["BASE"] == other["BASE"] == "50% of it"
    assert one[processes.MARK] == other[processes.MARK] == str(layout.home)


def test_nothing_runs_before_it_is_started(supervisor: Supervisor) -> None:
    assert not supervisor.running
    supervisor.launch([idle("p")], dict(os.environ))
    assert supervisor.running
    state = supervisor.state("p")
    assert (state.detail, state.pid, state.since) == ("STOPPED", 0, 0)


async def test_what_is_killed_is_started_again_and_what_is_stopped_is_not(supervisor: Supervisor) -> None:
    supervisor.launch([idle("p")], dict(os.environ))
    supervisor.start("p")
    first = await eventually(lambda: running_as(supervisor, "p"))
    os.kill(first, signal.SIGKILL)
    second = await eventually(lambda: running_as(supervisor, "p", instead_of=first))
    supervisor.stop("p")
    assert supervisor.state("p").detail == "STOPPED"
    assert not psutil.pid_exists(second)


async def test_starting_twice_and_stopping_twice_changes_nothing(supervisor: Supervisor) -> None:
    supervisor.launch([idle("p")], dict(os.environ))
    supervisor.start("p")
    pid = await eventually(lambda: supervisor.state("p").pid)
    supervisor.start("p")
    assert supervisor.state("p").pid == pid
    supervisor.stop("p")
    supervisor.stop("p")
    supervisor.stop_all(["p"], 5)
    assert supervisor.state("p").detail == "STOPPED"


def test_a_program_that_is_not_there_is_named(supervisor: Supervisor) -> None:
    supervisor.launch([Program("p", ["/nowhere/at/all"])], dict(os.environ))
    with pytest.raises(StackError, match="p can't be started"):
        supervisor.start("p")
    with pytest.raises(StackError, match="nobody can't be started"):
        supervisor.start("nobody")


async def test_programs_are_stopped_side_by_side_and_the_deaf_are_killed(
    supervisor: Supervisor, layout: Layout
) -> None:
    deaf = [Program(name, [sys.executable, "-c", DEAF], stop_wait_s=1) for name in ("one", "two")]
    supervisor.launch([*deaf, idle("kept")], dict(os.environ))
    for name in ("one", "two", "kept"):
        supervisor.start(name)
    for name in ("one", "two"):
        await eventually(lambda name=name: layout.log(name).exists() and "there" in layout.log(name).read_text())
    supervisor.stop_all(["one", "two"], 10)
    assert [supervisor.state(name).detail for name in ("one", "two")] == ["STOPPED"] * 2
    assert supervisor.state("kept").pid


async def test_stopping_gives_up_after_its_time(supervisor: Supervisor, layout: Layout) -> None:
    supervisor.launch([Program("deaf", [sys.executable, "-c", DEAF], stop_wait_s=60)], dict(os.environ))
    supervisor.start("deaf")
    await eventually(lambda: layout.log("deaf").exists() and "there" in layout.log("deaf").read_text())
    supervisor.stop_all(["deaf"], 0.1)
    assert supervisor.state("deaf").detail == "STOPPING"


async def test_a_shutdown_ends_all_and_leaves_neither_socket_nor_pid_file(
    supervisor: Supervisor, layout: Layout
) -> None:
    supervisor.launch([idle("p")], dict(os.environ))
    supervisor.start("p")
    await eventually(lambda: environment_of(layout, "p"))
    supervisor.shutdown()
    assert not supervisor.running
    assert processes.of_stack(layout.home) == []
    assert [path.name for path in (layout.home / "run").iterdir()] == ["supervisord.conf"]
    supervisor.shutdown()


async def test_one_that_is_shutting_down_is_not_running_and_can_be_asked(
    supervisor: Supervisor, layout: Layout
) -> None:
    supervisor.launch([Program("deaf", [sys.executable, "-c", DEAF], stop_wait_s=2)], dict(os.environ))
    supervisor.start("deaf")
    await eventually(lambda: layout.log("deaf").exists() and "there" in layout.log("deaf").read_text())
    pid = supervisor.state("deaf").pid
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(supervisor.shutdown)
        await eventually(lambda: not supervisor.running)
        assert psutil.pid_exists(pid)
        ending.result(20)
    assert not psutil.pid_exists(pid)


def test_what_a_killed_supervisor_has_left_is_tidied_and_does_not_hinder_the_next(
    supervisor: Supervisor, layout: Layout
) -> None:
    supervisor.launch([idle("p")], dict(os.environ))
    [process] = processes.of_stack(layout.home)
    process.kill()
    process.wait(10)
    assert layout.socket.exists()
    assert not supervisor.running
    supervisor.tidy()
    assert [path.name for path in (layout.home / "run").iterdir()] == ["supervisord.conf"]
    supervisor.launch([idle("p")], dict(os.environ))
    assert supervisor.running


def test_it_is_outdated_when_a_program_would_be_configured_otherwise(supervisor: Supervisor) -> None:
    supervisor.launch([idle("p", LOG_LEVEL="INFO")], dict(os.environ))
    assert not supervisor.outdated([idle("p", LOG_LEVEL="INFO")])
    assert supervisor.outdated([idle("p", LOG_LEVEL="DEBUG")])
    assert supervisor.outdated([idle("p", LOG_LEVEL="INFO"), idle("q")])


def test_a_supervisor_that_refuses_its_configuration_is_quoted(supervisor: Supervisor) -> None:
    with pytest.raises(StackError, match=r"supervisord did not start:\n.*Invalid name: 'a b'"):
        supervisor.launch([Program("a b", ["run"])], dict(os.environ))


def test_a_supervisor_that_does_not_come_is_given_up(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fc.stack.supervisor.START_S", 0.01)
    with pytest.raises(StackError, match=r"supervisord did not start within 0\.01 s"):
        supervisor.launch([idle("p")], dict(os.environ))


def test_a_folder_too_deep_for_a_socket_works(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "deep" / ("x" * 100))
    layout.home.mkdir(parents=True)
    supervisor = Supervisor(layout)
    try:
        supervisor.launch([idle("p")], dict(os.environ))
        assert supervisor.running
        assert not str(layout.socket).startswith(str(layout.home))
        supervisor.shutdown()
        assert not layout.socket.exists()
    finally:
        kill_all(layout)
