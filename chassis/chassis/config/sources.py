"""The sources of settings: the environment, Vault, config.yaml, and the development defaults."""

import importlib.util
import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

import yaml
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from chassis.config import vault
from chassis.config.declare import SettingError, declaration, plain

CONFIG_PATH = Path("files/config/config.yaml")


class Source(PydanticBaseSettingsSource):
    """A source of settings. A value of "" counts as absent."""

    @property
    def in_development(self) -> bool:
        """Whether a source before this one names another environment than production, the default."""
        return self.current_state.get("environment") in ("development", "test")

    def get_field_value(
        self,
        field: FieldInfo,
        field_name: str,
    ) -> tuple[Any, str, bool]:
        return None, field_name, False

    @abstractmethod
    def values(self) -> Mapping[str, Any]:
        """Return the values of this source by attribute name."""

    def __call__(self) -> dict[str, Any]:
        return {name: value for name, value in self.values().items() if value is not None and value != ""}

    def by_path(self, flat: Mapping[str, Any]) -> dict[str, Any]:
        fields = self.settings_cls.model_fields.items()
        paths = {name: declaration(field).path for name, field in fields}
        return {name: flat[path] for name, path in paths.items() if path in flat}


class Environment(Source):
    def values(self) -> Mapping[str, Any]:
        environment = {name.lower(): value for name, value in os.environ.items()}
        values: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            names = (name, *declaration(field).aliases)
            value = next((environment[key] for key in names if environment.get(key)), None)
            if value and get_origin(field.annotation) in (list, tuple, set, frozenset):
                values[name] = [part.strip() for part in value.split(",") if part.strip()]
            else:
                values[name] = value
        return values


class File(Source):
    def values(self) -> Mapping[str, Any]:
        path = _config_file(getattr(self.settings_cls, "service", ""))
        if path is None:
            return {}
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise SettingError(f"config file {path}: {' '.join(str(error).split())}") from None
        paths = {declaration(field).path for field in self.settings_cls.model_fields.values()}
        return self.by_path(dict(_flatten(content, paths, path)))


class Vault(Source):
    def __init__(self, settings_cls: type[BaseSettings], file: File) -> None:
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
        """Return how long to wait for Vault. It is needed before the settings are validated."""
        default = self.settings_cls.model_fields["vault_wait_s"].default
        try:
            return max(float(known.get("vault_wait_s", default)), 0)
        except (TypeError, ValueError):
            raise SettingError("setting VAULT_WAIT_S: should be a number of seconds") from None


class Development(Source):
    def values(self) -> Mapping[str, Any]:
        if not self.in_development:
            return {}
        return {name: declaration(field).dev for name, field in self.settings_cls.model_fields.items()}


def _config_file(service: str) -> Path | None:
    if path := os.environ.get("CONFIG_FILE"):
        return Path(path)
    candidates = [CONFIG_PATH]
    spec = importlib.util.find_spec(service) if service else None
    if spec is not None and spec.origin is not None:
        # In a checkout. The current folder may be that of another service.
        candidates.insert(0, Path(spec.origin).parent.parent / CONFIG_PATH)
    return next((path for path in candidates if path.is_file()), None)


def _flatten(content: object, paths: set[str], file: Path, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(content, dict):
        raise SettingError(f"setting {prefix.rstrip('.') or 'top level'} in {file.name}: should be a mapping")
    for key, value in content.items():
        path = f"{prefix}{key}"
        if path in paths:
            yield path, value
        elif any(known.startswith(f"{path}.") for known in paths):
            yield from _flatten({} if value is None else value, paths, file, f"{path}.")
        else:
            raise SettingError(f"setting {path} in {file.name}: unknown key")
