"""Reads `docker-compose.yml` as `docker compose` does, and settings as a container does."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import yaml

from chassis.config import vault
from chassis.config.settings import ProcessSettings, load
from fc.stack.layout import DEPLOYED, ROOT
from testkit.production import SECRETS as STRONG
from tests.contract.test_env_example import CLASSES, names_of

FILE = ROOT / "docker-compose.yml"

_VARIABLE = re.compile(r"\$\$|\$\{([A-Z_]+)(:?-)([^${}]*)\}")

Compose = dict[str, Any]

# The command line of Vault takes a value that begins with @ for the name of a file.
SECRETS = {**STRONG, "REDIS_PASSWORD": "@a redis password, 0123456789"}
PRODUCTION = {
    **SECRETS,
    "ENVIRONMENT": "production",
    "ALLOW_PLAINTEXT": "true",
    "VAULT_ADDR": "",
    **{f"{service.upper()}_VAULT_SECRET_ID": "" for service in DEPLOYED},
    "DB_MIGRATION_PASSWORD": STRONG["DB_PASSWORD"],
    "DB_AUDIT_PASSWORD": STRONG["DB_PASSWORD"],
    "XENDIT_BASE_URL": "https://api.xendit.co",
}
"""A `.env` for production in compose: with all secrets, without the Vault that keeps them in memory."""


def resolved(env: Mapping[str, str] | None = None) -> Compose:
    """Read the file as `docker compose` does, with these variables in `.env`."""
    given = env or {}

    def replace(match: re.Match[str]) -> str:
        name, operator, default = match.groups()
        if name is None:
            return "$"
        value = given.get(name)
        return default if value is None or (value == "" and operator == ":-") else value

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: walk(value) for key, value in node.items()}
        if isinstance(node, list):
            return [walk(item) for item in node]
        if isinstance(node, str):
            assert "$" not in _VARIABLE.sub("", node), f"{node!r} has a variable that this test can't read"
            return _VARIABLE.sub(replace, node)
        return node

    return dict(walk(yaml.safe_load(FILE.read_text(encoding="utf-8"))))


def environment(compose: Compose, service: str) -> dict[str, str]:
    return {name: str(value) for name, value in compose["services"][service].get("environment", {}).items()}


def is_job(service: dict[str, Any]) -> bool:
    """Whether a service is a job that runs once."""
    return service.get("restart") == "no"


def published(compose: Compose, service: str) -> list[tuple[int, int]]:
    """Return pairs of host port and container port, all on the loopback address."""
    found = []
    for port in compose["services"][service].get("ports", []):
        address, outside, inside = port.split(":")
        assert address == "127.0.0.1", f"{service} listens on {address}"
        found.append((int(outside), int(inside)))
    return found


def needed(compose: Compose, service: str) -> set[str]:
    """Return everything that a service waits for, also indirectly."""
    direct = set(compose["services"][service].get("depends_on", {}))
    return direct.union(*(needed(compose, other) for other in direct))


@contextmanager
def only(env: Mapping[str, str]) -> Iterator[None]:
    """Replace the environment for the block."""
    with mock.patch.dict(os.environ, env, clear=True):
        yield


@dataclass(frozen=True)
class Filled:
    """What the job has written to Vault, by service: secrets, and the text of the policy."""

    secrets: dict[str, dict[str, str]]
    policies: dict[str, str]
    arguments: list[str]
    secret_ids: dict[str, str]


# It writes down each argument, and the content of a file in the place of its name.
_RECORDER = """#!/bin/sh
for word in "$@"; do
  printf '%s\\0' "$word" >> {folder}/arguments
  case $word in
    *=@*) printf '%s=' "${{word%%=@*}}"; cat "${{word#*=@}}"; printf '\\0' ;;
    *) printf '%s\\0' "$word" ;;
  esac
done >> {folder}/calls
echo >> {folder}/calls
[ "$1 $2" != "policy write" ] || cat > {folder}/"$3".policy
"""


def fill_vault(compose: Compose) -> Filled:
    """Run the job that fills Vault against a recording command line. Raises CalledProcessError when it fails."""
    return _filled(tuple(sorted(environment(compose, "vault-seed").items())))


@cache
def _filled(env: tuple[tuple[str, str], ...]) -> Filled:
    with TemporaryDirectory() as name:
        folder = Path(name)
        program = folder / "vault"
        program.write_text(_RECORDER.format(folder=folder), encoding="utf-8")
        program.chmod(0o755)
        given = {**dict(env), "PATH": f"{folder}:{os.environ['PATH']}"}
        job = ["sh", str(ROOT / "deploy/vault/seed.sh")]
        subprocess.run(job, env=given, check=True, capture_output=True, timeout=30)
        policies = {file.stem: file.read_text(encoding="utf-8") for file in folder.glob("*.policy")}
        calls = (folder / "calls").read_text(encoding="utf-8")
        arguments = (folder / "arguments").read_text(encoding="utf-8").split("\0")
        return Filled(_secrets(calls), policies, arguments, _secret_ids(calls))


def _secrets(calls: str) -> dict[str, dict[str, str]]:
    found = {}
    for line in calls.splitlines():
        words = line.rstrip("\0").split("\0")
        if words[:3] == ["kv", "put", "-mount=secret"]:
            found[words[3]] = dict(word.split("=", 1) for word in words[4:])
    return found


def _secret_ids(calls: str) -> dict[str, str]:
    """Return the secret id of each AppRole by its name."""
    return dict(re.findall(r"auth/approle/role/(\w+)/custom-secret-id\0secret_id=([^\0]*)\0", calls))


def settings(compose: Compose, service: str, job: str = "") -> Any:
    """Load a service's settings as its container does, or one of its jobs, with Vault as the job fills it."""
    filled = fill_vault(compose)

    def read(address: str, name: str, **login: Any) -> dict[str, Any]:
        assert (address, login["token"], login["role_id"]) == ("http://vault:8200", "", service)
        assert login["secret_id"] == filled.secret_ids[service]
        return dict(filled.secrets[name])

    file = {"CONFIG_FILE": str(ROOT / service / "files/config/config.yaml")}
    with only({**environment(compose, job or service), **file}), mock.patch.object(vault, "read", read):
        return load(CLASSES[service])


def development_secrets(cls: type[ProcessSettings]) -> dict[str, Any]:
    """Return a class's secrets with their development values, by their keys in Vault."""
    extras = [field.json_schema_extra for field in cls.model_fields.values()]
    found = [extra for extra in extras if isinstance(extra, dict) and extra["secret"] and extra["dev"]]
    return {str(extra["path"]): extra["dev"] for extra in found}


def unread(compose: Compose, service: str, cls: type[ProcessSettings]) -> set[str]:
    """Return the environment names of a container that no setting of its service has."""
    return set(environment(compose, service)) - names_of(cls)
