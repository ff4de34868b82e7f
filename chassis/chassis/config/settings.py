"""Settings of a service: environment over Vault over config.yaml over defaults, refused with one line when wrong."""

import importlib.util
import os
import sys
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_origin

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from chassis import failpoint
from chassis.config import vault

Port = Annotated[int, Field(ge=1, le=65535)]
PositiveInt = Annotated[int, Field(ge=1)]
CONFIG_PATH = Path("files/config/config.yaml")
MIN_JWT_SECRET_BYTES = 32


def plain(secret: str | SecretStr | None) -> str:
    """Return the text of a secret; "" for None."""
    return secret.get_secret_value() if isinstance(secret, SecretStr) else secret or ""


class SettingError(Exception):
    """A setting that stops the start; the text is the rest of the line after the service's name."""


def setting(
    path: str,
    default: Any = PydanticUndefined,
    *,
    dev: Any = None,
    secret: bool = False,
    aliases: tuple[str, ...] = (),
    **constraints: Any,
) -> Any:
    """Declare a setting: its environment name is the attribute's in capitals, `path` its key in config.yaml and Vault.

    `dev` is the default outside production; without `default` the setting is then required in production. A `secret`
    is never shown, and in production its `dev` value is refused. `aliases` are further environment names.
    """
    extra: dict[str, Any] = {"path": path, "dev": dev, "secret": secret, "aliases": list(aliases)}
    return Field(default, json_schema_extra=extra, **constraints)


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value().encode()) < MIN_JWT_SECRET_BYTES:
        raise ValueError(f"must be at least {MIN_JWT_SECRET_BYTES} bytes long")
    return value


LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
]


class ServiceSettings(BaseSettings):
    """What every service can be told. A service's own class adds to it, and sets `service`."""

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
        """Put the sources in order of priority; `.env` files are read by compose and the local stack, not here."""
        file = _File(settings_cls)
        return init_settings, _Environment(settings_cls), _Vault(settings_cls, file), file, _Development(settings_cls)

    @model_validator(mode="before")
    @classmethod
    def _name_the_database(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "db_name": values.get("db_name") or cls.service}

    @model_validator(mode="after")
    def _refuse_development_in_production(self) -> "ServiceSettings":
        if self.environment != "production":
            return self
        for name, field in type(self).model_fields.items():
            dev = _meta(field)["dev"]
            if dev is not None and _is_secret(field) and plain(getattr(self, name)) == dev:
                raise ValueError(f"setting {name.upper()}: is the development default, which production refuses")
        if self.failpoints:
            raise ValueError("setting FAILPOINTS: is refused in production")
        return self


S = TypeVar("S", bound=ServiceSettings)


def load(cls: type[S], **overrides: Any) -> S:
    """Read the settings; `overrides` win over every source.

    Raises SystemExit with one line that names what is missing or malformed, and never shows a secret.
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
        shown = "" if field is None or _is_secret(field) else f", got {item['input']!r:.80}"
        yield f"setting {name.upper()}: {text}{shown}"


def _meta(field: FieldInfo) -> dict[str, Any]:
    extra = field.json_schema_extra
    return extra if isinstance(extra, dict) and "path" in extra else {"path": None, "dev": None, "aliases": []}


def _is_secret(field: FieldInfo) -> bool:
    return bool(_meta(field).get("secret")) or "SecretStr" in str(field.annotation)


class _Source(PydanticBaseSettingsSource):
    """A source that knows each setting's path; a value of "" counts as not given."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    @abstractmethod
    def values(self) -> Mapping[str, Any]:
        """Give what this source says, by attribute name."""

    def __call__(self) -> dict[str, Any]:
        return {name: value for name, value in self.values().items() if value is not None and value != ""}

    def by_path(self, flat: Mapping[str, Any]) -> dict[str, Any]:
        fields = self.settings_cls.model_fields.items()
        return {name: flat[_meta(field)["path"]] for name, field in fields if _meta(field)["path"] in flat}


class _Environment(_Source):
    def values(self) -> Mapping[str, Any]:
        given = {name.lower(): value for name, value in os.environ.items()}
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            value = next((given[key] for key in (name, *_meta(field)["aliases"]) if given.get(key)), None)
            if value and get_origin(field.annotation) in (list, tuple, set, frozenset):
                found[name] = [part.strip() for part in value.split(",") if part.strip()]
            else:
                found[name] = value
        return found


class _File(_Source):
    def values(self) -> Mapping[str, Any]:
        path = _config_file(getattr(self.settings_cls, "service", ""))
        if path is None:
            return {}
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise SettingError(f"config file {path}: {' '.join(str(error).split())}") from None
        paths = {_meta(field)["path"] for field in self.settings_cls.model_fields.values()}
        return self.by_path(dict(_flatten(content, paths, path)))


class _Vault(_Source):
    def __init__(self, settings_cls: type[BaseSettings], file: _File) -> None:
        super().__init__(settings_cls)
        self._file = file

    def values(self) -> Mapping[str, Any]:
        known = {**self._file(), **self.current_state}
        address = known.get("vault_addr")
        if not address:
            return {}
        try:
            flat = vault.read(
                str(address),
                getattr(self.settings_cls, "service", ""),
                wait_s=self._wait_s(known),
                **{key: plain(known.get(f"vault_{key}")) for key in ("token", "role_id", "secret_id")},
            )
        except vault.VaultError as error:
            raise SettingError(f"setting VAULT_ADDR: {error}") from None
        return self.by_path(flat)

    def _wait_s(self, known: Mapping[str, Any]) -> float:
        """Give how long to wait for Vault: needed before the settings are checked."""
        default = self.settings_cls.model_fields["vault_wait_s"].default
        try:
            return max(float(known.get("vault_wait_s", default)), 0)
        except (TypeError, ValueError):
            raise SettingError("setting VAULT_WAIT_S: should be a number of seconds") from None


class _Development(_Source):
    def values(self) -> Mapping[str, Any]:
        if self.current_state.get("environment") == "production":
            return {}
        return {name: _meta(field)["dev"] for name, field in self.settings_cls.model_fields.items()}


def _config_file(service: str) -> Path | None:
    if given := os.environ.get("CONFIG_FILE"):
        return Path(given)
    candidates = [CONFIG_PATH]
    spec = importlib.util.find_spec(service) if service else None
    if spec is not None and spec.origin is not None:
        candidates.append(Path(spec.origin).parent.parent / CONFIG_PATH)
    return next((path for path in candidates if path.is_file()), None)


def _flatten(content: object, paths: set[str], file: Path, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(content, dict):
        raise SettingError(f"setting {prefix.rstrip('.') or 'top level'} in {file.name}: should be a mapping")
    for key, value in content.items():
        path = f"{prefix}{key}"
        if path in paths:
            yield path, value
        elif any(known and known.startswith(f"{path}.") for known in paths):
            yield from _flatten({} if value is None else value, paths, file, f"{path}.")
        else:
            raise SettingError(f"setting {path} in {file.name}: unknown key")
