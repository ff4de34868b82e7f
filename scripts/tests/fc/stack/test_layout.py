"""Where a stack lives and listens, from FC_HOME and FC_PORT_OFFSET."""

import os
from pathlib import Path

import pytest

from fc.stack.errors import StackError
from fc.stack.layout import EPHEMERAL, MAX_OFFSET, PORTS, ROOT, Layout

# What a path may have, and what supervisord adds to it while it makes the socket: a dot and the longest process id.
SOCKET_BYTES = 107
SUFFIX_BYTES = len(".4194304")


def test_the_ports_are_those_of_the_contract_and_the_folder_is_dot_local_in_the_checkout() -> None:
    layout = Layout.from_environment()
    assert (layout.home, layout.offset) == (ROOT / ".local", 0)
    assert [layout.port(name) for name in ("userfc", "productfc", "orderfc", "paymentfc", "grpc")] == [
        28080,
        28081,
        28082,
        28083,
        50051,
    ]
    assert [layout.port(name) for name in ("postgres", "redis", "kafka", "mongo")] == [5433, 6379, 29092, 27017]


def test_the_offset_shifts_every_port_and_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FC_PORT_OFFSET", "1000")
    layout = Layout.from_environment()
    shifted = {name: port + 1000 for name, port in PORTS.items()}
    assert {name: layout.port(name) for name in PORTS} == shifted | {"grpc": 25_051}
    assert layout.urls() == {
        "userfc": "http://localhost:29080",
        "productfc": "http://localhost:29081",
        "orderfc": "http://localhost:29082",
        "paymentfc": "http://localhost:29083",
        "xendit": "http://localhost:29090",
    }


def test_no_port_is_used_twice() -> None:
    assert len(set(PORTS.values())) == len(PORTS)


@pytest.mark.parametrize("given", ["0", "1", str(MAX_OFFSET)])
def test_every_offset_whose_ports_exist_is_taken(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("FC_PORT_OFFSET", given)
    layout = Layout.from_environment()
    assert layout.offset == int(given)
    ports = {name: layout.port(name) for name in PORTS}
    assert len(set(ports.values())) == len(PORTS)
    assert [name for name, port in ports.items() if port >= EPHEMERAL] == (["grpc"] if given == "0" else [])


@pytest.mark.parametrize("given", [str(MAX_OFFSET + 1), "-1", "1.5", "ten", " 5", "1_000", "²"])
def test_any_other_offset_is_refused_with_the_bounds(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("FC_PORT_OFFSET", given)
    with pytest.raises(StackError, match=f"FC_PORT_OFFSET must be a whole number from 0 to {MAX_OFFSET}"):
        Layout.from_environment()


def test_with_the_greatest_offset_the_last_port_is_the_last_that_no_outgoing_connection_takes() -> None:
    layout = Layout(Path(), MAX_OFFSET)
    assert max(layout.port(name) for name in PORTS) == EPHEMERAL - 1


def test_empty_variables_count_as_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FC_PORT_OFFSET", "")
    monkeypatch.setenv("FC_HOME", "")
    assert Layout.from_environment() == Layout(ROOT / ".local", 0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("~/shop", "{home}/shop"), ("shop", "{here}/shop"), ("/srv/a/../shop", "/srv/shop"), ("/srv/shop", "/srv/shop")],
)
def test_fc_home_becomes_an_absolute_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, expected: str
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FC_HOME", given)
    assert str(Layout.from_environment().home) == expected.format(home="/home/somebody", here=tmp_path.resolve())


def test_two_stacks_share_neither_folder_nor_socket_nor_port(tmp_path: Path) -> None:
    one, other = Layout(tmp_path / "one"), Layout(tmp_path / "other", 1000)
    assert one.socket != other.socket
    assert one.log("orderfc") != other.log("orderfc")
    assert not {one.port(name) for name in PORTS} & {other.port(name) for name in PORTS}


def test_the_socket_is_in_the_stacks_own_folder_where_its_path_fits() -> None:
    assert Layout(Path("/srv/shop")).socket == Path("/srv/shop/run/supervisor.sock")


@pytest.mark.parametrize("letter", ["x", "é", "☃"])
@pytest.mark.parametrize("temporary", ["/tmp", "/tmp/" + "deep/" * 30])
def test_whatever_the_folders_length_the_sockets_path_is_never_too_long(
    monkeypatch: pytest.MonkeyPatch, letter: str, temporary: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", temporary)
    for length in range(1, 130):
        layout = Layout(Path("/" + letter * length))
        assert len(os.fsencode(layout.socket)) + SUFFIX_BYTES <= SOCKET_BYTES
        assert layout.socket == Layout(layout.home, 7).socket


def test_sockets_outside_their_folders_do_not_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    deep = "/srv/" + "deep/" * 30
    one, other = Layout(Path(deep + "one")).socket, Layout(Path(deep + "other")).socket
    assert one.parent == other.parent == Path("/tmp")
    assert one != other
