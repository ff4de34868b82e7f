"""ENVIRONMENT=production in containers: it starts with secrets of its own, and refuses those that everybody knows."""

import socket

import httpx2
import pytest

from tests.compose.kit.platform import Platform
from tests.compose.kit.record import Record
from tests.compose.test_platform import OTHER_LOOPBACK
from tests.contract.compose import PRODUCTION

# Nobody answers there, and it is no private address.
HARD = {**PRODUCTION, "XENDIT_BASE_URL": "https://xendit.example.com", "BIND_ADDRESS": "0.0.0.0"}
KNOWN = {
    "JWT_SECRET": "development-jwt-secret-change-me-0123456789",
    "DB_PASSWORD": "admin",
    "REDIS_PASSWORD": "admin",
    "GRPC_CREDENTIALS": "development-grpc-credentials",
}


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        pytest.param({"ENVIRONMENT": "production"}, ["VAULT_ADDR"], id="the settings of development"),
        pytest.param({**HARD, "ALLOW_PLAINTEXT": ""}, ["ALLOW_PLAINTEXT"], id="plaintext"),
        *(pytest.param({**HARD, name: value}, [name], id=name) for name, value in KNOWN.items()),
    ],
)
def test_production_refuses_what_everybody_knows_and_names_it(
    engine: Platform, settings: dict[str, str], names: list[str]
) -> None:
    said = engine.refused(settings, "orderfc")
    assert said.returncode == 1
    assert all(name in said.stdout + said.stderr for name in names)
    assert not [value for value in settings.values() if len(value) > 20 and value in said.stdout + said.stderr]


def test_production_starts_with_secrets_of_its_own_and_listens_where_bind_address_says(
    engine: Platform, record: Record
) -> None:
    seconds = engine.running_with(HARD)
    for port in (28080, 28081, 28082, 28083):
        assert httpx2.get(f"http://localhost:{port}/ready", trust_env=False, timeout=10).status_code == 200
        assert httpx2.get(f"http://localhost:{port}/docs", trust_env=False, timeout=10).status_code == 404
    answers = {password: _login(password) for password in (HARD["ADMIN_PASSWORD"], "admin12345")}
    assert list(answers.values()) == [200, 401]
    assert {address for one in engine.containers().values() for address in engine.addresses(one.id)} == {"0.0.0.0"}
    socket.create_connection((OTHER_LOOPBACK, 28082), 5).close()
    record.step("ENVIRONMENT=production with secrets of its own, BIND_ADDRESS=0.0.0.0", f"up in {seconds:.0f} s")


def _login(password: str) -> int:
    body = {"email": "admin@example.com", "password": password}
    return httpx2.post("http://localhost:28080/v1/login", json=body, trust_env=False, timeout=10).status_code
