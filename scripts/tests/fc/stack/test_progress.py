"""What is shown while the containers start: one line for each that is ready, and on a terminal what is waited for."""

import io

import pytest
from rich.console import Console

from fc.stack.containers import Container, Project, state_of
from fc.stack.progress import Progress

PROJECT = Project("shop", frozenset({"redis", "orderfc"}), frozenset({"orderfc-migrate"}))


@pytest.mark.parametrize(
    ("state", "status", "word"),
    [
        ("created", "Created", "waiting"),
        ("removing", "Removal In Progress", "waiting"),
        ("running", "Up 2 seconds (health: starting)", "starting"),
        ("running", "Up 2 hours (healthy)", "healthy"),
        ("running", "Up 2 hours", "healthy"),
        ("running", "Up 2 hours (unhealthy)", "unhealthy"),
        ("restarting", "Restarting (1) 2 seconds ago", "restarting"),
        ("exited", "Exited (0) 2 seconds ago", "done"),
        ("exited", "Exited (10) 2 seconds ago", "failed"),
        ("paused", "Up 2 hours (Paused)", "paused"),
    ],
)
def test_the_state_of_a_container_is_one_word(state: str, status: str, word: str) -> None:
    assert state_of(state, status) == word


def test_a_container_is_read_with_each_published_port_once() -> None:
    ports = "127.0.0.1:28080->28080/tcp, [::1]:28080->28080/tcp, 127.0.0.1:50051->50051/tcp, 9093/tcp"
    assert Container.read(f"userfc\t1a\trunning\tUp 2 hours (healthy)\t{ports}").ports == (28080, 50051)
    assert Container.read("job\t1a\texited\tExited (0) 1 second ago\t").ports == ()


def drawn(progress: Progress) -> list[str]:
    """Return the lines that a terminal shows now, without their seconds."""
    console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(progress)
    return [" ".join(line.split()[1:3]) for line in capture.get().splitlines()]


def test_a_terminal_shows_what_is_waited_for_until_nothing_is() -> None:
    progress = Progress(Console(file=io.StringIO()), PROJECT, {})
    progress.said("#12 installing")
    assert drawn(progress) == ["images 0"]
    progress.show({"redis": Container("redis", "1", "starting"), "orderfc": Container("orderfc", "2", "waiting")})
    assert drawn(progress) == ["orderfc waiting", "orderfc-migrate waiting", "redis starting"]
    ready = {"redis": Container("redis", "1", "healthy"), "orderfc": Container("orderfc", "2", "unhealthy")}
    progress.show(ready)
    assert drawn(progress) == ["orderfc unhealthy", "orderfc-migrate waiting"]
    progress.show({name: Container(name, "3", "done") for name in ("orderfc-migrate", "orderfc")})
    assert drawn(progress) == []


def test_a_container_that_stays_as_it_was_has_no_line_and_one_that_is_made_anew_has_one() -> None:
    said = io.StringIO()
    before = {"redis": Container("redis", "1", "healthy"), "orderfc": Container("orderfc", "2", "healthy")}
    progress = Progress(Console(file=said, width=80), PROJECT, before)
    progress.show({"redis": before["redis"], "orderfc": Container("orderfc", "3", "healthy")})
    assert [" ".join(line.split()[1:-2]) for line in said.getvalue().splitlines()] == [
        "images built",
        "orderfc healthy",
    ]
