"""The settings that every service reads: environment over Vault over config.yaml over defaults."""

import sys
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from chassis import failpoint
from chassis.config import vault
from chassis.config.declare import Port, PositiveInt, SettingError, declaration, is_secret, plain, setting
from chassis.config.sources import Development, Environment, File, Vault

MIN_JWT_SECRET_BYTES = 32


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value().encode()) < MIN_JWT_SECRET_BYTES:
        raise ValueError(f"must be at least {MIN_JWT_SECRET_BYTES} bytes long")
    return value


LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
]


class ServiceSettings(BaseSettings):
    """The settings of every service. A service's own class adds to them, and sets `service`."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, validate_default=False)

    service: ClassVar[str] = "chassis"

    environment: Literal["development", "test", "production"] = setting("environment", "development")
    log_level: LogLevel = setting("log.level", "INFO")
    http_host: str = setting("app.host", "0.0.0.0")
    http_port: Port = setting("app.port", 8000)
    grpc_port: Port | None = setting("app.grpc_port", None)
    shutdown_timeout_s: PositiveInt = setting("app.shutdown_timeout_s", 20)
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = setting("currency", "IDR")
    failpoints: Annotated[str, AfterValidator(failpoint.check)] = setting("failpoints", "")

    db_host: str = setting("database.host", "localhost")
    db_port: Port = setting("database.port", 5433)
    db_user: str = setting("database.user", "admin")
    db_password: SecretStr = setting("database.password", dev="admin", secret=True)
    db_name: str = setting("database.name", "")

    redis_host: str = setting("redis.host", "localhost")
    redis_port: Port = setting("redis.port", 6379)
    redis_password: SecretStr = setting("redis.password", dev="admin", secret=True)

    kafka_broker: str = setting("kafka.broker", "localhost:29092")
    kafka_partitions: PositiveInt = setting("kafka.partitions", 6)
    kafka_replication: PositiveInt = setting("kafka.replication", 3, dev=1)
    kafka_session_timeout_ms: PositiveInt = setting("kafka.session_timeout_ms", 10_000)
    outbox_max_tries: PositiveInt = setting("kafka.outbox_max_tries", 12)
    consumer_max_tries: PositiveInt = setting("kafka.consumer_max_tries", 5)

    jwt_secret: Annotated[SecretStr, AfterValidator(_long_enough)] = setting(
        "jwt_secret", dev="development-jwt-secret-change-me-0123456789", secret=True
    )
    grpc_credentials: SecretStr = setting("grpc_credentials", dev="development-grpc-credentials", secret=True)
    user_service_addr: str = setting("user_service.addr", "localhost:50051")

    otel_exporter_otlp_endpoint: str | None = setting("otel.endpoint", None, aliases=("jaeger_endpoint",))
    otel_traces_ratio: Annotated[float, Field(ge=0, le=1)] = setting("otel.traces_ratio", 0.1, dev=1.0)

    vault_addr: str | None = setting("vault.addr", None)
    vault_token: SecretStr | None = setting("vault.token", None, secret=True)
    vault_role_id: str | None = setting("vault.role_id", None)
    vault_secret_id: SecretStr | None = setting("vault.secret_id", None, secret=True)
    vault_wait_s: Annotated[float, Field(ge=0, le=3600)] = setting("vault.wait_s", 30)
    vault_watch_interval_s: Annotated[float, Field(gt=0)] = setting("vault.watch_interval_s", 300)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in order of priority. `.env` files are read by compose and the local stack, not here."""
        file = File(settings_cls)
        return init_settings, Environment(settings_cls), Vault(settings_cls, file), file, Development(settings_cls)

    @model_validator(mode="before")
    @classmethod
    def _name_the_database(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "db_name": values.get("db_name") or cls.service}

    @model_validator(mode="after")
    def _refuse_development_in_production(self) -> "ServiceSettings":
        if self.environment != "production":
            return self
        for name, field in type(self).model_fields.items():
            dev = declaration(field).dev
            if dev is not None and is_secret(field) and plain(getattr(self, name)) == dev:
                raise ValueError(f"setting {name.upper()}: is the development default, which production refuses")
        if self.failpoints:
            raise ValueError("setting FAILPOINTS: is refused in production")
        return self


S = TypeVar("S", bound=ServiceSettings)


def load(cls: type[S], **overrides: Any) -> S:
    """Read the settings; `overrides` win over every source.

    Raises SystemExit with one line that names the missing or malformed settings and shows no secret.
    """
    try:
        return cls(**overrides)
    except SettingError as error:
        line = str(error)
    except ValidationError as error:
        line = "; ".join(_sentences(cls, error))
    sys.exit(f"{cls.service}: {line}")


def vault_session(settings: ServiceSettings) -> vault.Session:
    """Make a session, not yet logged in, at the Vault that the settings name."""
    return vault.Session(
        settings.vault_addr or "",
        settings.service,
        token=plain(settings.vault_token),
        role_id=settings.vault_role_id or "",
        secret_id=plain(settings.vault_secret_id),
    )


def _sentences(cls: type[ServiceSettings], error: ValidationError) -> Iterator[str]:
    for item in error.errors(include_url=False):
        reason = item.get("ctx", {}).get("error")
        text = str(reason) if reason is not None else item["msg"]
        if not item["loc"]:
            yield text
            continue
        name = str(item["loc"][0])
        if item["type"] == "missing":
            yield f"setting {name.upper()}: is missing"
            continue
        text = text.removeprefix("Input ").removeprefix("String ").split(", unable")[0].split(", got")[0]
        field = cls.model_fields.get(name)
        shown = "" if field is None or is_secret(field) else f", got {item['input']!r:.80}"
        yield f"setting {name.upper()}: {text}{shown}"
