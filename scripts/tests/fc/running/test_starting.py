"""A start that can't succeed says why, and leaves nothing that hinders the next."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from fc.stack import processes
from fc.stack.errors import StackError
from fc.stack.layout import SERVICES, Layout
from fc.stack.local import HASTY, Stack

from ..conftest import Ended
from .conftest import OVERRIDES, alive, all_ready, family

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

Fc = Callable[[str], Ended]


def test_a_taken_port_is_named_with_the_process_that_holds_it_and_nothing_is_started(tmp_path: Path) -> None:
    other = Stack.for_tests(tmp_path / "home")
    with (
        socket.create_server(("127.0.0.1", other.layout.port("redis"))),
        socket.create_server(("0.0.0.0", other.layout.port("orderfc"))),
        pytest.raises(StackError) as refused,
    ):
        other.up()
    lines = str(refused.value).splitlines()
    assert lines[0] == "The stack can't start:"
    assert [line.split(" is held by ")[0] for line in lines[1:-1]] == [
        f"  port {other.layout.port(name)} ({name})" for name in ("orderfc", "redis")
    ]
    assert all(f" is held by process {os.getpid()} (" in line for line in lines[1:-1])
    assert "FC_PORT_OFFSET" in lines[-1]
    assert processes.of_stack(other.home) == []
    assert not (other.home / "data").exists()


def test_a_stacks_own_ports_are_taken_for_another_stack(stack: Stack, tmp_path: Path) -> None:
    other = Stack(Layout(tmp_path / "home", stack.layout.offset), settings={})
    with pytest.raises(StackError, match=r"can't start") as refused:
        other.up()
    for name in SERVICES:
        assert f"({name}) is held by process " in str(refused.value)
    assert all_ready(stack)


def test_a_refused_setting_fails_the_start_with_the_log_that_explains_it_and_down_cleans_up(
    kept: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A service that ends again and again is noticed by that, however long one may take.
    monkeypatch.setattr("fc.stack.startup.READY_S", 3600)
    kept.down()
    refused = Stack(kept.layout, {**HASTY, **OVERRIDES, "JWT_SECRET": "short"}, settings={})
    with pytest.raises(StackError) as failed:
        refused.up()
    first, *tail = str(failed.value).splitlines()
    service = first.split()[0]
    assert service in SERVICES
    assert first == f"{service} did not become ready. The end of {kept.layout.log(service)}:"
    assert tail[-1] == f"{service}: setting JWT_SECRET: must be at least 32 bytes long"
    left = family(kept)
    assert refused.down() is True
    assert alive(left) == []
    assert processes.of_stack(kept.home) == []
    assert not kept.layout.socket.exists()


def test_a_setting_that_is_put_right_needs_no_down_before_the_next_up(kept: Stack) -> None:
    kept.down()
    refused = Stack(kept.layout, {**HASTY, **OVERRIDES, "KAFKA_PARTITIONS": "0"}, settings={})
    with pytest.raises(StackError, match="userfc: setting KAFKA_PARTITIONS: should be greater than or equal to 1"):
        refused.up()
    assert refused.supervisor.running
    assert kept.outdated()
    assert kept.up() is True
    assert all_ready(kept)
    assert not kept.outdated()
