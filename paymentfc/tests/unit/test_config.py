"""The settings of paymentfc: what opens the webhook, and what does not."""

from pathlib import Path

import pytest

from chassis.config.settings import load
from paymentfc.config import Settings
from testkit.production import PLAINTEXT

NAME = "XENDIT_WEBHOOK_TOKEN"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Start without the variable and from an empty config.yaml, and give that file."""
    for name in (NAME, NAME.lower(), "VAULT_ADDR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ENVIRONMENT", "development")
    file = tmp_path / "config.yaml"
    file.write_text("{}")
    monkeypatch.setenv("CONFIG_FILE", str(file))
    return file


def token() -> str:
    """Load the settings and give the token."""
    return load(Settings).xendit_webhook_token.get_secret_value()


def test_without_the_variable_development_has_the_published_token() -> None:
    assert token() == "development-webhook-token"


@pytest.mark.parametrize("name", [NAME, NAME.lower()])
def test_a_token_that_is_set_to_nothing_is_nothing_and_not_the_published_one(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "")
    assert token() == ""


def test_an_empty_variable_leaves_the_token_to_the_sources_after_the_environment(
    monkeypatch: pytest.MonkeyPatch, no_settings: Path
) -> None:
    monkeypatch.setenv(NAME, "")
    no_settings.write_text("xendit: {webhook_token: from-the-file}")
    assert token() == "from-the-file"


def test_in_production_an_empty_token_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLAINTEXT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(NAME, "")
    with pytest.raises(SystemExit) as caught:
        load(Settings)
    assert str(caught.value) == f"paymentfc: setting {NAME}: is missing"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MONGO_URI", "mongodb://"),
        ("MONGO_URI", "mongodb://audit:hidden"),
        ("MONGO_URI", "mongodb://audit:hidden/more@audit.example.com"),
        ("MONGO_URI", "mongodb://audit:hid%zzden@audit.example.com"),
        ("MONGO_URI", "mongodb://audit.example.com/?tls=true&tlsCAFile=/nowhere/ca.pem"),
        ("XENDIT_BASE_URL", "https://"),
        ("XENDIT_BASE_URL", "http://[::1"),
        ("XENDIT_BASE_URL", "http://localhost:port"),
        ("XENDIT_BASE_URL", "http://local host"),
        ("INVOICE_GIVE_UP_S", "1e12"),
        ("SCHEDULER_STATUS_MIN_AGE_S", "1e308"),
        ("CALLBACK_BODY_KEEP_DAYS", "99999999"),
        ("PAYMENT_MAX_TRIES", "99999999999"),
    ],
)
def test_what_would_stop_the_service_later_stops_the_start_with_one_line_and_shows_no_password(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        load(Settings)
    line = str(caught.value)
    assert line.startswith(f"paymentfc: setting {name}: should be ")
    assert "\n" not in line
    assert "hid" not in line
