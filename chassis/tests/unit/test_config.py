"""Settings: where they come from, which source wins, and what stops the start."""

from importlib import import_module
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import SecretStr

from chassis.config.declare import setting
from chassis.config.settings import ServiceSettings, load

STRONG = "a secret of production, 0123456789"


class Shop(ServiceSettings):
    """A service's own settings."""

    service: ClassVar[str] = "shopfc"

    host: str = setting("product.host", "http://localhost")
    networks: list[str] = setting("app.networks", [])
    token: SecretStr = setting("xendit.webhook_token", dev="development-token", secret=True)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start from no environment and no file."""
    for name in Shop.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("CONFIG_FILE", raising=False)
    monkeypatch.delenv("JAEGER_ENDPOINT", raising=False)
    monkeypatch.setenv("ENVIRONMENT", "development")
    monkeypatch.chdir(tmp_path)


def write(tmp_path: Path, text: str) -> None:
    """Write the service's config.yaml."""
    folder = tmp_path / "files/config"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(text)


def refusal() -> str:
    """Load, and give the one line that stops the start."""
    with pytest.raises(SystemExit) as caught:
        load(Shop)
    line = str(caught.value.code)
    assert "\n" not in line
    return line


def production(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set everything that production requires."""
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("ALLOW_PLAINTEXT", "true")
    for name in ("DB_PASSWORD", "REDIS_PASSWORD", "JWT_SECRET", "GRPC_CREDENTIALS", "TOKEN"):
        monkeypatch.setenv(name, STRONG)


def test_environment_wins_over_the_file_and_the_file_over_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(tmp_path, "database: {host: from-file, port: 6000}\nproduct: {host: http://file}\n")
    monkeypatch.setenv("db_host", "from-env")
    settings = load(Shop)
    assert (settings.db_host, settings.db_port, settings.host) == ("from-env", 6000, "http://file")
    assert settings.redis_port == 6379


def test_an_empty_value_counts_as_not_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path, "database: {host: from-file}\n")
    monkeypatch.setenv("DB_HOST", "")
    assert load(Shop).db_host == "from-file"
    production(monkeypatch)
    monkeypatch.setenv("TOKEN", "")
    assert refusal() == "shopfc: setting TOKEN: is missing"


def test_a_malformed_setting_is_named_with_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PORT", "abc")
    assert refusal() == "shopfc: setting DB_PORT: should be a valid integer, got 'abc'"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_BROKER", "localhost"),
        ("KAFKA_BROKER", "localhost:abc"),
        ("KAFKA_BROKER", "kafka-1:9092;kafka-2:9092"),
        ("KAFKA_BROKER", "localhost:-1"),
        ("KAFKA_BROKER", "http://localhost:9092"),
        ("KAFKA_BROKER", ","),
        ("USER_SERVICE_ADDR", "http://userfc:50051"),
        ("USER_SERVICE_ADDR", ":::"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1"),
        ("OUTBOX_KEEP_DAYS", "9999999999"),
        ("OUTBOX_MAX_TRIES", "9999999999"),
        ("KAFKA_SESSION_TIMEOUT_MS", "9999999999"),
        ("VAULT_WATCH_INTERVAL_S", "inf"),
        ("HTTP_MAX_BODY_BYTES", "1000"),
    ],
)
def test_a_setting_that_no_library_or_server_takes_is_named_at_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert refusal().startswith(f"shopfc: setting {name}: should be ")


def test_brokers_may_be_several_with_blanks_and_addresses_of_both_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BROKER", "kafka-1:9092, 10.0.0.1:9092,[::1]:9092")
    monkeypatch.setenv("USER_SERVICE_ADDR", "dns:///userfc:50051")
    settings = load(Shop)
    assert settings.kafka_broker == "kafka-1:9092,10.0.0.1:9092,[::1]:9092"
    assert settings.user_service_addr == "dns:///userfc:50051"


def test_a_malformed_secret_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "too-short-secret")
    assert refusal() == "shopfc: setting JWT_SECRET: must be at least 32 bytes long"


@pytest.mark.parametrize("name", ["DB_PASSWORD", "JWT_SECRET", "GRPC_CREDENTIALS", "REDIS_PASSWORD", "TOKEN"])
def test_production_refuses_every_development_default_and_every_missing_secret(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    development = getattr(load(Shop), name.lower()).get_secret_value()
    production(monkeypatch)
    load(Shop)
    monkeypatch.setenv(name, development)
    assert refusal() == f"shopfc: setting {name}: is the development default, which production refuses"
    monkeypatch.delenv(name)
    assert refusal() == f"shopfc: setting {name}: is missing"


def test_without_an_environment_a_service_is_in_production_and_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    production(monkeypatch)
    monkeypatch.delenv("ENVIRONMENT")
    assert (load(Shop).environment, load(Shop).http_host) == ("production", "0.0.0.0")
    monkeypatch.delenv("JWT_SECRET")
    assert refusal() == "shopfc: setting JWT_SECRET: is missing"
    monkeypatch.setenv("ENVIRONMENT", "")
    assert refusal() == "shopfc: setting JWT_SECRET: is missing"


def test_development_listens_on_loopback_unless_it_names_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(Shop).http_host == "127.0.0.1"
    monkeypatch.setenv("HTTP_HOST", "0.0.0.0")
    assert load(Shop).http_host == "0.0.0.0"


@pytest.mark.parametrize("value", ["Production", "prod", "dev", "staging", " development"])
def test_an_unknown_environment_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ENVIRONMENT", value)
    assert "setting ENVIRONMENT: should be 'development', 'test' or 'production'" in refusal()


def test_production_refuses_failpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILPOINTS", "relay.after_send=kill@1")
    assert load(Shop).failpoints
    production(monkeypatch)
    assert refusal() == "shopfc: setting FAILPOINTS: is refused in production"


def test_production_refuses_a_clock_that_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "clock"
    file.write_bytes(bytes(8))
    monkeypatch.setenv("CLOCK_FILE", str(file))
    assert load(Shop).clock_file == str(file)
    production(monkeypatch)
    assert refusal() == "shopfc: setting CLOCK_FILE: is refused in production"


def test_a_clock_without_its_file_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOCK_FILE", "/nowhere/clock")
    assert refusal().startswith("shopfc: setting CLOCK_FILE: must be the file that `fc up` makes (")


def test_an_unknown_key_in_the_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, "database: {hots: x}\n")
    assert refusal() == "shopfc: setting database.hots in config.yaml: unknown key"


def test_a_file_that_is_no_yaml_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, "database: {\n- [")
    assert refusal().startswith("shopfc: config file files/config/config.yaml: ")


def test_a_named_file_that_is_missing_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIG_FILE", "/nowhere/config.yaml")
    assert "/nowhere/config.yaml" in refusal()


def test_in_the_folder_of_another_service_a_service_reads_its_own_file(tmp_path: Path) -> None:
    write(tmp_path, "limits: {login_per_address: 1/day}\napp: {port: 1}\n")
    settings = load(import_module("orderfc.config").Settings)
    assert settings.http_port == 28082


def test_aliases_lists_and_the_database_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAEGER_ENDPOINT", "http://jaeger:4318")
    monkeypatch.setenv("NETWORKS", "10.0.0.0/8, 127.0.0.1")
    monkeypatch.setenv("SOMETHING_ELSE", "ignored")
    settings = load(Shop)
    assert settings.otel_exporter_otlp_endpoint == "http://jaeger:4318"
    assert settings.networks == ["10.0.0.0/8", "127.0.0.1"]
    assert settings.db_name == "shopfc"


def test_replication_is_three_in_production_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(Shop).kafka_replication == 1
    production(monkeypatch)
    assert load(Shop).kafka_replication == 3
