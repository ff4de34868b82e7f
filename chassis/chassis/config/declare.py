"""How a setting is declared: its path in config.yaml and Vault, its development default, whether it is secret."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

Port = Annotated[int, Field(ge=1, le=65535)]
# Beyond these bounds, values do not fit into fields of Kafka and PostgreSQL, and times have no date.
PositiveInt = Annotated[int, Field(ge=1, le=2_147_483_647)]
Seconds = Annotated[float, Field(gt=0, le=31_536_000, allow_inf_nan=False)]
Days = Annotated[int, Field(ge=1, le=36_500)]


class SettingError(Exception):
    """A setting that stops the start; the text is the rest of the line after the service's name."""


@dataclass(frozen=True)
class Declaration:
    """What `setting` was given; `path` is "" for a field that was declared without it."""

    path: str = ""
    dev: Any = None
    secret: bool = False
    aliases: tuple[str, ...] = ()


def setting(
    path: str,
    default: Any = PydanticUndefined,
    *,
    dev: Any = None,
    secret: bool = False,
    aliases: tuple[str, ...] = (),
    **constraints: Any,
) -> Any:
    """Declare a setting. Its environment name is the attribute's in capitals, `path` its key in config.yaml and Vault.

    `dev` is the default outside production; without `default` the setting is then required in production. A `secret`
    is never shown, and in production its `dev` value is refused. `aliases` are further environment names.
    """
    extra: dict[str, Any] = {"path": path, "dev": dev, "secret": secret, "aliases": list(aliases)}
    return Field(default, json_schema_extra=extra, **constraints)


def declaration(field: FieldInfo) -> Declaration:
    extra = field.json_schema_extra
    if not isinstance(extra, dict) or "path" not in extra:
        return Declaration()
    values: dict[str, Any] = extra
    return Declaration(values["path"], values["dev"], values["secret"], tuple(values["aliases"]))


def is_secret(field: FieldInfo) -> bool:
    return declaration(field).secret or "SecretStr" in str(field.annotation)


def plain(secret: str | SecretStr | None) -> str:
    """Return the text of a secret; "" for None."""
    return secret.get_secret_value() if isinstance(secret, SecretStr) else secret or ""
