"""Secrets from a stand-in for Vault's KV version 2 engine, over HTTP: read at start, then watched."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from chassis.config import vault
from chassis.config.settings import ServiceSettings, load, vault_session
from testkit import eventually, free_port

from .vault_server import Stand

PATHS = {
    "db_password": "database.password",
    "redis_password": "redis.password",
    "jwt_secret": "jwt_secret",
    "grpc_credentials": "grpc_credentials",
}


class Shop(ServiceSettings):
    """A service that has secrets in Vault."""

    service: ClassVar[str] = "shopfc"


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    """A running stand-in, to which VAULT_ADDR leads; nothing else is given by the environment."""
    server = Stand()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name in (*(name.upper() for name in PATHS), "VAULT_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VAULT_ADDR", server.address)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def app_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service logs in by AppRole."""
    monkeypatch.setenv("VAULT_ROLE_ID", "role")
    monkeypatch.setenv("VAULT_SECRET_ID", "secret")


def _plain(settings: ServiceSettings, name: str) -> str:
    value: str = getattr(settings, name).get_secret_value()
    return value


@pytest.mark.parametrize("name", PATHS)
def test_each_secret_comes_from_the_environment_over_vault_over_the_file_over_the_default(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, name: str
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "the-token")
    in_vault = _plain(load(Shop), name)
    flat = dict(vault._flatten(stand.secrets))
    assert in_vault == flat[PATHS[name]]

    file = tmp_path / "config.yaml"
    nested = "database:\n  password: {0}\nredis:\n  password: {0}\njwt_secret: {0}\ngrpc_credentials: {0}\n"
    file.write_text(nested.format("f" * 32), encoding="utf-8")
    monkeypatch.setenv("CONFIG_FILE", str(file))
    assert _plain(load(Shop), name) == in_vault
    monkeypatch.setenv(name.upper(), "e" * 32)
    assert _plain(load(Shop), name) == "e" * 32
    monkeypatch.delenv(name.upper())
    stand.secrets = {}
    assert _plain(load(Shop), name) == "f" * 32
    monkeypatch.delenv("CONFIG_FILE")
    assert _plain(load(Shop), name) not in (in_vault, "f" * 32)


def test_a_service_logs_in_by_app_role_and_revokes_the_token_when_it_has_read(stand: Stand, app_role: None) -> None:
    assert _plain(load(Shop), "db_password") == "nested-password"
    assert stand.revoked == ["role-1"]
    assert stand.tokens == {"the-token"}


def test_a_token_that_was_given_is_not_revoked(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "the-token")
    load(Shop)
    assert stand.revoked == []


@pytest.mark.parametrize("token", ["wrong-token", ""])
def test_a_vault_that_refuses_stops_the_start_in_one_line(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", token)
    with pytest.raises(SystemExit) as caught:
        load(Shop)
    line = str(caught.value.code)
    assert line.startswith("shopfc: setting VAULT_ADDR: ")
    assert "\n" not in line
    assert "wrong-token" not in line


def test_a_vault_that_is_sealed_for_a_while_is_waited_for(stand: Stand, app_role: None) -> None:
    stand.sealed = 2
    assert _plain(load(Shop), "db_password") == "nested-password"
    assert stand.sealed == 0


def test_waiting_for_vault_is_logged_once(stand: Stand, app_role: None) -> None:
    stand.sealed = 4
    with capture_logs() as logs:
        load(Shop)
    assert [entry["event"] for entry in logs] == ["waiting for Vault"]


def test_a_vault_that_is_down_stops_the_start_at_once_when_nobody_wants_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("VAULT_ADDR", address)
    monkeypatch.setenv("VAULT_TOKEN", "the-token")
    monkeypatch.setenv("VAULT_WAIT_S", "0")
    with pytest.raises(SystemExit) as caught:
        load(Shop)
    assert caught.value.code == f"shopfc: setting VAULT_ADDR: Vault at {address} can't be read (ConnectionError)"


@pytest.mark.parametrize("given", ["soon", "-1"])
def test_a_wait_that_is_no_number_of_seconds_is_named(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "the-token")
    monkeypatch.setenv("VAULT_WAIT_S", given)
    with pytest.raises(SystemExit) as caught:
        load(Shop)
    assert str(caught.value.code).startswith("shopfc: setting VAULT_WAIT_S: ")


@pytest.mark.parametrize("status", [400, 403, 404, 405, 429, 500, 503])
def test_a_token_that_can_not_be_revoked_does_not_stop_the_start(stand: Stand, app_role: None, status: int) -> None:
    stand.revocation_status = status
    with capture_logs() as logs:
        assert load(Shop).jwt_secret.get_secret_value() == "j" * 32
    assert [entry["event"] for entry in logs] == ["the token for Vault is left to expire"]
    assert stand.revoked == []


async def test_the_watch_keeps_its_login_alive_and_tells_of_newer_secrets(stand: Stand, app_role: None) -> None:
    settings = load(Shop, vault_watch_interval_s=0.01)
    stop = asyncio.Event()
    watching = asyncio.create_task(vault.Watch(vault_session(settings), settings.vault_watch_interval_s).run(stop))
    try:
        await eventually(lambda: stand.renewed >= 3)
        assert stand.logins == 2
        assert REGISTRY.get_sample_value("gocommerce_vault_secrets_outdated") == 0
        stand.version = 2
        await eventually(lambda: REGISTRY.get_sample_value("gocommerce_vault_secrets_outdated") == 1)
        stand.sealed = 3
        await eventually(lambda: stand.sealed == 0)
        before = stand.renewed
        await eventually(lambda: stand.renewed > before)
    finally:
        stop.set()
        await watching
    assert stand.tokens == {"the-token"}


async def test_a_login_that_has_ended_is_made_anew(stand: Stand, app_role: None) -> None:
    settings = load(Shop, vault_watch_interval_s=0.01)
    stop = asyncio.Event()
    watching = asyncio.create_task(vault.Watch(vault_session(settings), settings.vault_watch_interval_s).run(stop))
    try:
        await eventually(lambda: stand.renewed >= 1)
        stand.tokens = {"the-token"}
        await eventually(lambda: stand.logins == 3)
    finally:
        stop.set()
        await watching
