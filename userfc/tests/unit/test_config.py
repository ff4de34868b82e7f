"""The settings of userfc."""

from ipaddress import ip_network

import pytest

from chassis.config.settings import load
from testkit.production import PLAINTEXT
from userfc.config import Settings


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = load(Settings)
    assert (settings.http_port, settings.grpc_port, settings.db_port, settings.db_name) == (
        28080,
        50051,
        5433,
        "userfc",
    )
    assert settings.admin_email is None
    assert settings.admin_password is None
    limits = (settings.login_limit_per_address, settings.login_limit_per_account, settings.register_limit_per_address)
    assert limits == ("60/minute", "10/minute", "60/minute")
    assert settings.trusted_proxies == ()


def test_the_environment_names_the_administrator_and_the_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_EMAIL", " Root@Example.com")
    monkeypatch.setenv("ADMIN_PASSWORD", "a good password")
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8")
    settings = load(Settings)
    assert settings.admin_email == "root@example.com"
    assert settings.admin_password is not None
    assert settings.admin_password.get_secret_value() == "a good password"
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert "a good password" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ADMIN_EMAIL", "root"),
        ("ADMIN_PASSWORD", "short"),
        ("LOGIN_LIMIT_PER_ADDRESS", "often"),
        ("LOGIN_LIMIT_PER_ACCOUNT", "10 per blink"),
        ("REGISTER_LIMIT_PER_ADDRESS", "-1"),
        # Without Redis each of these was an error at every request.
        ("LOGIN_LIMIT_PER_ADDRESS", "0/minute"),
        ("LOGIN_LIMIT_PER_ADDRESS", "99999999999999999999/minute"),
        ("LOGIN_LIMIT_PER_ADDRESS", "60/99999999 year"),
        ("LOGIN_LIMIT_PER_ADDRESS", "60/minute;5/second"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,nowhere"),
        ("GRPC_PORT", "70000"),
    ],
)
def test_a_malformed_setting_stops_the_start_with_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        load(Settings)
    line = str(stopped.value)
    assert line.startswith(f"userfc: setting {name}: ")
    assert "\n" not in line
    assert name != "ADMIN_PASSWORD" or value not in line


def test_production_refuses_the_development_password_of_the_administrator(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLAINTEXT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ADMIN_PASSWORD", "a good password")
    with pytest.raises(SystemExit, match="setting ADMIN_PASSWORD: must be at least 16 bytes long"):
        load(Settings)
    monkeypatch.setenv("ADMIN_PASSWORD", "a good long password")
    assert load(Settings).environment == "production"
    monkeypatch.setenv("ADMIN_PASSWORD", "admin12345")
    with pytest.raises(SystemExit, match="setting ADMIN_PASSWORD: is the development default"):
        load(Settings)


@pytest.mark.parametrize("environment", ["development", "production"])
def test_a_common_password_of_the_administrator_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    monkeypatch.setenv("ENVIRONMENT", environment)
    for password in ("password", "Password123", "trustno1"):
        monkeypatch.setenv("ADMIN_PASSWORD", password)
        with pytest.raises(SystemExit, match="setting ADMIN_PASSWORD: Password is one of the most common ones"):
            load(Settings)
