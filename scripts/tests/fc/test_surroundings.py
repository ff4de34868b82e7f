"""The commands where something around them is odd: folders, terminals, encodings, files and values of settings."""

import asyncio
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest

from chassis.errors import Refused
from fc.demo.shop import Shop
from fc.stack import doctor, startup
from fc.stack.errors import StackError
from fc.stack.layout import Layout
from fc.stack.programs import Programs
from fc.stack.supervisor import Supervisor
from servers import base
from testkit.asgi import serving

from .conftest import Ended, clean_environment

Fc = Callable[[str], Ended]


@pytest.mark.parametrize("home", ["file", "file/below", "~nobody-of-this-name/x", "loop", "a" * 300])
@pytest.mark.parametrize("command", ["down", "up", "down --wipe"])
def test_a_folder_that_can_not_be_one_is_named_in_one_line(
    fc: Fc, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: str, command: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setattr(doctor, "refuse_missing", lambda _layout: None)
    monkeypatch.setenv("FC_HOME", home if home.startswith("~") else str(tmp_path / home))
    said = fc(command)
    assert (said.code, said.out) == (1, "")
    assert home in said.err
    assert "FC_HOME" in said.err
    assert said.err.count("\n") == 1


def test_what_the_operating_system_refuses_is_one_line(fc: Fc, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FC_HOME", str(tmp_path / "file"))
    said = fc("logs orderfc")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "Not a directory" in said.err


@pytest.mark.parametrize("command", ["status", "down", "up"])
def test_the_stack_of_another_user_is_not_taken_for_one_that_does_not_run(
    fc: Fc, monkeypatch: pytest.MonkeyPatch, layout: Layout, command: str
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor, "refuse_missing", lambda _layout: None)
    monkeypatch.setattr(Supervisor, "_call", refuse)
    said = fc(command)
    assert (said.code, said.out) == (1, "")
    assert said.err == f"fc: the stack in {layout.home} is another user's, who alone may use it\n"


def test_an_encoding_without_our_signs_gets_plain_ones(tmp_path: Path) -> None:
    (tmp_path / "mvn").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "mvn").chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "fc", "doctor"],
        env={
            **clean_environment(),
            "FC_HOME": str(tmp_path),
            "FC_NATIVE": "1",
            "PYTHONIOENCODING": "ascii",
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert "+  Python " in done.stdout
    assert "x  Maven " in done.stdout


def test_on_a_narrow_terminal_no_word_of_the_status_is_cut(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fc", "status"],
        env={**clean_environment(), "FC_HOME": str(tmp_path), "FC_NATIVE": "1", "COLUMNS": "20"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "paymentfc  stopped" in done.stdout
    assert "…" not in done.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"LOG_LEVEL=INFO\nJWT_SECRET='not closed\n", "line 2"),
        (b"JWT_SECRET: with a colon\n", "line 1"),
        (b"JWT_SECRET=\xff\xfe\n", "can't be read"),
    ],
)
def test_a_dotenv_that_can_not_be_read_is_refused_and_not_left_out(
    fc: Fc, checkout: Path, text: bytes, words: str
) -> None:
    (checkout / ".env").write_bytes(text)
    said = fc("status")
    assert (said.code, said.out) == (1, "")
    assert str(checkout / ".env") in said.err
    assert words in said.err
    assert "JWT" not in said.err


@pytest.mark.parametrize("option", ["--grace", "--webhook", "--stuck", "--quiesce"])
@pytest.mark.parametrize("value", ["inf", "nan", "1e30"])
def test_a_patience_that_is_no_time_is_refused(fc: Fc, option: str, value: str) -> None:
    said = fc(f"audit {option} {value}")
    assert said.code == 2
    assert f"Invalid value for '{option}'" in said.err


def test_an_audit_without_room_for_its_temporary_file_says_so(fc: Fc, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("fc.audit.run.Spill", full)
    said = fc("audit")
    assert (said.code, said.out) == (2, "")
    assert "database or disk is full" in said.err
    assert "TMPDIR" in said.err


@pytest.mark.parametrize(("command", "code"), [("audit", 2), ("stuck", 1), ("outbox ls", 1)])
def test_a_database_that_takes_connections_and_says_nothing_is_named_with_the_time_it_was_given(
    fc: Fc, monkeypatch: pytest.MonkeyPatch, layout: Layout, command: str, code: int
) -> None:
    monkeypatch.setattr("fc.platform.snapshot.CONNECT_S", 0.2)
    with socket.create_server(("127.0.0.1", layout.port("postgres"))):
        said = fc(command)
    assert said.code == code
    assert f"at localhost:{layout.port('postgres')}: no answer within 0.2 s" in said.err


async def test_the_demo_asks_the_stack_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async def shop(_scope: object, _receive: object, send: Callable[..., Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b'{"token": "t"}'})

    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with serving(shop, lifespan="off") as url, Shop.opened({"userfc": url}, {"alice": ("a", "b")}) as opened:
        assert (await opened.login("alice")).name == "Alice"


async def test_services_ask_each_other_and_no_proxy(monkeypatch: pytest.MonkeyPatch, layout: Layout) -> None:
    async def neighbour(_scope: object, _receive: object, send: Callable[..., Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "shop.example.com")
    environment = Programs(layout, settings={}).base_environment()
    assert environment["NO_PROXY"].startswith("shop.example.com,")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    async with serving(neighbour, lifespan="off") as url, httpx2.AsyncClient() as client:
        assert (await client.get(url)).status_code == 204
        assert (await client.get(url.replace("127.0.0.1", "localhost"))).status_code == 204


def test_variables_of_other_databases_do_not_reach_ours(fc: Fc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "standby")
    fc("status")
    assert not [name for name in os.environ if name.startswith("PG")]


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_name: str) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(base, "user_cache_path", homeless)
    with pytest.raises(base.Missing, match="set HOME or XDG_CACHE_HOME"):
        base.cache()


def test_what_the_broker_refuses_is_said_in_its_words(monkeypatch: pytest.MonkeyPatch, layout: Layout) -> None:
    async def refuse(*_: object) -> None:
        raise Refused("Kafka at localhost:1: topic order.created: InvalidReplicationFactorError")

    monkeypatch.setattr(startup, "ensure_topics", refuse)
    with pytest.raises(StackError, match="InvalidReplicationFactorError"):
        asyncio.run(startup.make_topics(Programs(layout, settings={})))
