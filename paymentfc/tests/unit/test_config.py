"""The settings of paymentfc: what opens the webhook, and what does not."""

from pathlib import Path

import pytest

from chassis.config.settings import load
from paymentfc.config import Settings

NAME = "XENDIT_WEBHOOK_TOKEN"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Start without the variable and from an empty config.yaml, and give that file."""
    for name in (NAME, NAME.lower(), "ENVIRONMENT", "VAULT_ADDR"):
        monkeypatch.delenv(name, raising=False)
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
    secrets = ("DB_PASSWORD", "REDIS_PASSWORD", "GRPC_CREDENTIALS", "XENDIT_SECRET_API_KEY", "MONGO_URI")
    for name in secrets:
        monkeypatch.setenv(name, f"secret-of-{name}")
    monkeypatch.setenv("JWT_SECRET", "j" * 32)
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv(NAME, "")
    with pytest.raises(SystemExit) as caught:
        load(Settings)
    assert str(caught.value) == f"paymentfc: setting {NAME}: is missing"
