"""The settings that every service reads: environment over Vault over config.yaml over defaults."""

import sys
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, IPvAnyNetwork, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from chassis import clock, failpoint
from chassis.config import production, vault
from chassis.config.addresses import Url
from chassis.config.connections import ConnectionSettings, DatabaseSettings
from chassis.config.declare import (
    Port,
    PositiveInt,
    Seconds,
    SettingError,
    declaration,
    is_secret,
    plain,
    setting,
)
from chassis.config.sources import Development, Environment, File, Vault

MIN_BYTES = {"jwt_secret": 32}
"""The secrets that must be longer than production.MIN_BYTES."""


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value().encode()) < MIN_BYTES["jwt_secret"]:
        raise ValueError(f"must be at least {MIN_BYTES['jwt_secret']} bytes long")
    return value


LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
]


class ProgramSettings(BaseSettings):
    """What every program reads, from where, and what production refuses. Its own class sets `service`."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, coerce_numbers_to_str=True, validate_default=False, defer_build=True
    )

    service: ClassVar[str] = "chassis"

    environment: Literal["development", "test", "production"] = setting("environment", "production")
    log_level: LogLevel = setting("log.level", "INFO")
    allow_plaintext: bool = setting("allow_plaintext", False)

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

    @model_validator(mode="after")
    def _refuse_in_production(self) -> Self:
        refused: dict[str, str] = {}
        for name, reason in self.refusals() if self.environment == "production" else ():
            refused.setdefault(name, reason)
        if refused:
            raise ValueError("; ".join(f"setting {name.upper()}: {reason}" for name, reason in refused.items()))
        return self

    def _problem(self, name: str) -> str | None:
        value, field = getattr(self, name), type(self).model_fields[name]
        declared = declaration(field)
        if declared.dev is not None and is_secret(field) and plain(value).strip() == declared.dev:
            return production.DEVELOPMENT
        if declared.secret and value is not None:
            return production.secret_problem(plain(value), MIN_BYTES.get(name, production.MIN_BYTES))
        return production.proxies_problem(value) if isinstance(value, tuple) else None

    def refusals(self) -> Iterator[tuple[str, str]]:
        """Yield what production refuses: attributes and reasons. A program adds its own."""
        for name in type(self).model_fields:
            if problem := self._problem(name):
                yield name, problem
        if not self.allow_plaintext:
            yield from ((name, f"{must} in production, unless ALLOW_PLAINTEXT=true") for name, must in self.plaintext())

    def plaintext(self) -> Iterator[tuple[str, str]]:
        """Yield the settings that leave a connection without TLS, or without a check of certificate and name."""
        yield from ()


class ProcessSettings(ProgramSettings, ConnectionSettings):
    """The settings of every process, with a database or without.

    Validators run from the last base to the first: half a certificate is named as that, before production asks for TLS.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, validate_default=False)

    http_host: str = setting("app.host", "0.0.0.0", dev="127.0.0.1")
    http_port: Port = setting("app.port", 8000)
    management_port: Port | None = setting("app.management_port", None)
    expose_docs: bool = setting("docs.expose", False, dev=True)
    http_processes: Annotated[int, Field(ge=1, le=16)] = setting("http.processes", 1)
    http_max_connections: PositiveInt = setting("http.max_connections", 2000)
    http_max_connections_per_address: PositiveInt = setting("http.max_connections_per_address", 600)
    # If it were less than the largest body of a route, that body would always be refused.
    http_max_body_bytes: Annotated[int, Field(ge=1024 * 1024, le=2**31 - 1)] = setting(
        "http.max_body_bytes", 32 * 1024 * 1024
    )
    trusted_proxies: tuple[IPvAnyNetwork, ...] = setting("limits.trusted_proxies", ())
    grpc_port: Port | None = setting("app.grpc_port", None)
    shutdown_timeout_s: PositiveInt = setting("app.shutdown_timeout_s", 20)
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = setting("currency", "IDR")
    failpoints: Annotated[str, AfterValidator(failpoint.check)] = setting("failpoints", "")
    clock_file: Annotated[str, AfterValidator(clock.check)] = setting("clock.file", "")

    outbox_max_tries: PositiveInt = setting("kafka.outbox_max_tries", 12)
    consumer_max_tries: PositiveInt = setting("kafka.consumer_max_tries", 5)

    jwt_secret: Annotated[SecretStr, AfterValidator(_long_enough)] = setting(
        "jwt_secret", dev="development-jwt-secret-change-me-0123456789", secret=True
    )

    otel_exporter_otlp_endpoint: Url | None = setting("otel.endpoint", None, aliases=("jaeger_endpoint",))
    otel_database_spans: bool = setting("otel.database_spans", False)
    otel_traces_ratio: Annotated[float, Field(ge=0, le=1)] = setting("otel.traces_ratio", 0.1, dev=1.0)

    vault_addr: str | None = setting("vault.addr", None)
    vault_token: SecretStr | None = setting("vault.token", None, secret=True)
    vault_role_id: str | None = setting("vault.role_id", None)
    vault_secret_id: SecretStr | None = setting("vault.secret_id", None, secret=True)
    vault_wait_s: Annotated[float, Field(ge=0, le=3600)] = setting("vault.wait_s", 30)
    vault_watch_interval_s: Seconds = setting("vault.watch_interval_s", 300)

    def refusals(self) -> Iterator[tuple[str, str]]:
        """Yield what production refuses: attributes and reasons. A service adds its own."""
        yield from super().refusals()
        if self.vault_addr and not self.vault_addr.startswith("https://"):
            yield "vault_addr", "must begin with https:// in production"
        for name in ("failpoints", "clock_file"):
            if getattr(self, name):
                yield name, "is refused in production"

    def plaintext(self) -> Iterator[tuple[str, str]]:
        """Yield the settings that leave a connection without TLS, or without a check of certificate and name."""
        return ConnectionSettings.plaintext(self)


class ServiceSettings(ProcessSettings, DatabaseSettings):
    """The settings of every service that owns a database."""

    def plaintext(self) -> Iterator[tuple[str, str]]:
        """Yield the settings that leave a connection without TLS, the database's among them."""
        yield from self.plaintext_database()
        yield from super().plaintext()


S = TypeVar("S", bound=ProgramSettings)


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


def vault_session(settings: ProcessSettings) -> vault.Session:
    """Make a session, not yet logged in, at the Vault that the settings name."""
    return vault.Session(
        settings.vault_addr or "",
        settings.service,
        token=plain(settings.vault_token),
        role_id=settings.vault_role_id or "",
        secret_id=plain(settings.vault_secret_id),
    )


def _sentences(cls: type[ProgramSettings], error: ValidationError) -> Iterator[str]:
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
