"""Settings: environment over Vault over files/config/config.yaml; a bad one stops the start with one line."""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import yaml
from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from chassis import vault

MIN_JWT_SECRET_BYTES = 32
PRODUCTION = "production"

S = TypeVar("S", bound="ServiceSettings")


def setting(
    path: str,
    default: Any = PydanticUndefined,  # noqa: ANN401 - a pydantic field takes any default
    *,
    dev: str | None = None,
    env: str | None = None,
    aliases: tuple[str, ...] = (),
    **constraints: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401 - it stands where a field's value will
    """Declare a setting: `path` is its dotted key in config.yaml and Vault, its attribute's name is the variable.

    `dev` is a default that holds only outside production and is refused as a value in production. `env` names the
    variable where it differs from the attribute, `aliases` name further variables.
    """
    names = AliasChoices(env, *aliases) if env else None
    if dev is not None:
        default = None
    return Field(default=default, json_schema_extra={"path": path, "dev": dev, "aliases": list(aliases)},
                 validation_alias=names, **constraints)  # fmt: skip


def extra(field: FieldInfo, name: str) -> Any:  # noqa: ANN401
    """Read what `setting` stored with a field."""
    found = field.json_schema_extra
    return found.get(name) if isinstance(found, dict) else None


class ServiceSettings(BaseSettings):
    """What every service reads. Attribute names are the variables' names in lower case."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, populate_by_name=True)

    service: ClassVar[str] = "service"

    environment: str = setting("environment", "development", pattern="^(development|test|staging|production)$")
    log_level: str = setting("log.level", "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR|CRITICAL)$")
    http_host: str = setting("app.host", "0.0.0.0")  # noqa: S104 - a container is reached from outside
    http_port: int = setting("app.port", 8080, ge=1, le=65535)
    shutdown_timeout_s: int = setting("app.shutdown_timeout_s", 20, ge=1)
    trusted_proxies: str = setting("app.trusted_proxies", "")

    db_host: str = setting("database.host", "localhost")
    db_port: int = setting("database.port", 5432, ge=1, le=65535)
    db_user: str = setting("database.user", "admin")
    db_password: SecretStr = setting("database.password", dev="admin")
    db_name: str = setting("database.name", "postgres")

    redis_host: str = setting("redis.host", "localhost")
    redis_port: int = setting("redis.port", 6379, ge=1, le=65535)
    redis_password: SecretStr = setting("redis.password", dev="admin")

    kafka_broker: str = setting("kafka.broker", "localhost:29092")
    kafka_partitions: int = setting("kafka.partitions", 6, ge=1)
    kafka_replication: int = setting("kafka.replication", 1, ge=1)
    kafka_session_timeout_ms: int = setting("kafka.session_timeout_ms", 10_000, ge=1_000)
    outbox_max_tries: int = setting("kafka.outbox_max_tries", 12, ge=1)
    consumer_max_tries: int = setting("kafka.consumer_max_tries", 5, ge=1)

    jwt_secret: SecretStr = setting("jwt_secret", dev="development-jwt-secret-change-me-0123456789")
    grpc_credentials: SecretStr = setting("grpc_credentials", dev="development-grpc-credentials")
    user_service_addr: str = setting("user_service.addr", "localhost:50051")

    currency: str = setting("currency", "IDR", pattern="^(IDR|USD|THB|VND|PHP|MYR)$")

    vault_addr: str | None = setting("vault.addr", None)
    vault_token: SecretStr | None = setting("vault.token", None)
    vault_role_id: str | None = setting("vault.role_id", None)
    vault_secret_id: SecretStr | None = setting("vault.secret_id", None)

    otel_exporter_otlp_endpoint: str | None = setting(
        "otel.endpoint", None, env="OTEL_EXPORTER_OTLP_ENDPOINT", aliases=("JAEGER_ENDPOINT",)
    )
    otel_traces_ratio: float = setting("otel.ratio", 1.0, ge=0, le=1)
    failpoints: str = setting("failpoints", "")

    @model_validator(mode="before")
    @classmethod
    def _development_defaults(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Fill in development defaults, or in production refuse them."""
        production = values.get("environment") == PRODUCTION
        for name, field in cls.model_fields.items():
            default = extra(field, "dev")
            if default is None:
                continue
            if values.get(name) in (None, ""):
                if production:
                    raise ValueError(f"setting {name.upper()}: is required")
                values[name] = default
            elif production and values[name] == default:
                raise ValueError(f"setting {name.upper()}: the development default is refused in production")
        return values

    @model_validator(mode="after")
    def _rules(self) -> Self:
        if len(self.jwt_secret.get_secret_value().encode()) < MIN_JWT_SECRET_BYTES:
            raise ValueError(f"setting JWT_SECRET: must have at least {MIN_JWT_SECRET_BYTES} bytes")
        if self.failpoints and self.environment == PRODUCTION:
            raise ValueError("setting FAILPOINTS: is refused in production")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, environment, Vault, file."""
        file = _TreeSource(settings_cls, lambda _state: _read_yaml(cls))
        return init_settings, env_settings, _TreeSource(settings_cls, lambda state: _read_vault(cls, state)), file


class _TreeSource(PydanticBaseSettingsSource):
    """Reads settings by their dotted path out of a tree with nested or dotted keys."""

    def __init__(self, settings_cls: type[BaseSettings], load_tree: Any) -> None:  # noqa: ANN401
        super().__init__(settings_cls)
        self._load = load_tree

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Unused: the whole tree is read at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        flat = dict(_flatten(self._load(self.current_state)))
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            value = flat.get(str(extra(field, "path")))
            if value is not None:
                found[_alias(name, field)] = str(value) if extra(field, "dev") is not None else value
        return found


def _alias(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else name


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> "list[tuple[str, Any]]":
    result: list[tuple[str, Any]] = []
    for key, value in tree.items():
        path = f"{prefix}{key}"
        result += _flatten(value, f"{path}.") if isinstance(value, Mapping) else [(path, value)]
    return result


def config_file(service: str) -> Path | None:
    """Find files/config/config.yaml: CONFIG_FILE, else below the working folder or beside the service's package."""
    if named := os.environ.get("CONFIG_FILE"):
        return Path(named)
    package = import_module(service).__file__
    candidates = [Path.cwd() / "files/config/config.yaml"]
    if package:
        candidates.insert(0, Path(package).parent.parent / "files/config/config.yaml")
    return next((path for path in candidates if path.is_file()), None)


def _read_yaml(cls: type[ServiceSettings]) -> Mapping[str, Any]:
    path = config_file(cls.service)
    if path is None:
        return {}
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise SystemExit(f"{cls.service}: {path}: {' '.join(str(error).split())}") from error
    known = {str(extra(field, "path")) for field in cls.model_fields.values()}
    unknown = [key for key, _ in _flatten(tree) if key not in known]
    if unknown:
        raise SystemExit(f"{cls.service}: {path}: unknown setting {unknown[0]}")
    return dict(tree)


def _read_vault(cls: type[ServiceSettings], state: Mapping[str, Any]) -> Mapping[str, Any]:
    file = dict(_flatten(_read_yaml(cls)))

    def known(name: str) -> str | None:
        value = state.get(name) or file.get(name.replace("_", ".", 1))
        return str(value) if value else None

    address = known("vault_addr")
    if not address:
        return {}
    try:
        return vault.read(
            cls.service, address, token=known("vault_token"), role_id=known("vault_role_id"),
            secret_id=known("vault_secret_id"),
        )  # fmt: skip
    except vault.VaultError as error:
        raise SystemExit(f"{cls.service}: setting VAULT_ADDR: {error}") from error


def load(cls: type[S], **overrides: Any) -> S:  # noqa: ANN401
    """Read the settings of a service. Raises SystemExit with one line that names the setting at fault."""
    try:
        return cls(**overrides)
    except ValidationError as error:
        raise SystemExit(f"{cls.service}: {_first_line(cls, error)}") from None


def _first_line(cls: type[ServiceSettings], error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    text = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return text
    name = str(first["loc"][0])
    field = cls.model_fields.get(name.lower())
    variable = name.upper()
    if first["type"] == "missing":
        return f"setting {variable}: is required"
    secret = field is None or extra(field, "dev") is not None or "SecretStr" in str(field.annotation)
    shown = "" if secret else f", got {first['input']!r}"
    return f"setting {variable}: {text[0].lower()}{text[1:]}{shown}"


