"""Which ports are taken, and by which process."""

import contextlib
import socket
import subprocess
from collections.abc import Callable, Iterator

import psutil
import pytest

from fc.stack import ports
from testkit import free_port

Waiting = Callable[..., "subprocess.Popen[str]"]

LISTENER = """
import signal, socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
signal.pause()
"""


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@contextlib.contextmanager
def listening(address: str) -> Iterator[int]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_port_is_taken_while_somebody_listens_on_it_and_free_afterwards(address: str) -> None:
    with listening(address) as port:
        assert ports.is_taken(port)
    assert not ports.is_taken(port)


def test_a_connection_that_was_just_closed_does_not_hold_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            # The side that closes first keeps the connection in TIME_WAIT.
            server.accept()[0].close()
            assert client.recv(1) == b""
    assert not ports.is_taken(port)


def test_asking_leaves_no_listener_behind() -> None:
    port = free_port()
    assert not ports.is_taken(port)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_the_holder_is_named_by_its_process_id_and_command_line(waiting: Waiting) -> None:
    process = waiting(LISTENER)
    said = ports.holder(int(first_line(process)))
    assert said.startswith(f"process {process.pid} (")
    assert "python" in said
    assert " -c " in said


def test_the_holder_is_who_listens_and_not_who_is_connected(waiting: Waiting) -> None:
    process = waiting(LISTENER)
    port = int(first_line(process))
    with socket.create_connection(("127.0.0.1", port)) as client:
        assert ports.holder(port).startswith(f"process {process.pid} ")
        # A port of ours that is connected, on which nobody listens.
        assert ports.holder(client.getsockname()[1]) == "another process"


def test_a_very_long_command_line_is_cut(waiting: Waiting) -> None:
    process = waiting(LISTENER + "#" * 5000)
    assert len(ports.holder(int(first_line(process)))) < 150


def test_a_holder_that_may_not_be_seen_is_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_kind: str) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", denied)
    assert ports.holder(80) == "another process"
