"""Secrets from a stand-in for Vault's KV version 2 engine, over HTTP."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from chassis.config import ServiceSettings, load

SECRETS = {
    "database": {"password": "nested-password"},
    "redis.password": "dotted-password",
    "jwt_secret": "j" * 32,
}


class Shop(ServiceSettings):
    """A service that has secrets in Vault."""

    service: ClassVar[str] = "shopfc"


class Vault(BaseHTTPRequestHandler):
    """Answers one token and one AppRole."""

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""

    def answer(self, status: int, body: object) -> None:
        """Send JSON."""
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:  # noqa: N802
        """Log in by AppRole."""
        given = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if given == {"role_id": "role", "secret_id": "secret"}:
            self.answer(200, {"auth": {"client_token": "the-token"}})
        else:
            self.answer(400, {"errors": ["invalid role or secret ID"]})

    def do_GET(self) -> None:  # noqa: N802
        """Give the secret."""
        if self.headers["X-Vault-Token"] != "the-token":
            self.answer(403, {"errors": ["permission denied"]})
        elif self.path.split("?")[0] == "/v1/secret/data/shopfc":
            self.answer(200, {"data": {"data": SECRETS, "metadata": {"version": 1}}})
        else:
            self.answer(404, {"errors": []})


@pytest.fixture(autouse=True)
def _vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vault)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name in ("DB_PASSWORD", "REDIS_PASSWORD", "JWT_SECRET", "VAULT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VAULT_ADDR", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_secrets_come_from_vault_below_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "the-token")
    monkeypatch.setenv("JWT_SECRET", "e" * 32)
    settings = load(Shop)
    assert settings.db_password.get_secret_value() == "nested-password"
    assert settings.redis_password.get_secret_value() == "dotted-password"
    assert settings.jwt_secret.get_secret_value() == "e" * 32


def test_a_service_logs_in_by_app_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ROLE_ID", "role")
    monkeypatch.setenv("VAULT_SECRET_ID", "secret")
    assert load(Shop).db_password.get_secret_value() == "nested-password"


@pytest.mark.parametrize("token", ["wrong-token", ""])
def test_a_vault_that_refuses_stops_the_start_in_one_line(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("VAULT_TOKEN", token)
    with pytest.raises(SystemExit) as caught:
        load(Shop)
    line = str(caught.value.code)
    assert line.startswith("shopfc: setting VAULT_ADDR: ")
    assert "\n" not in line
    assert "wrong-token" not in line
