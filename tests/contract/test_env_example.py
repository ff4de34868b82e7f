"""`.env.example` names exactly the settings that exist, with the values of a development stack."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import pytest
from dotenv import dotenv_values

from chassis.config.declare import setting
from chassis.config.settings import ProcessSettings, ProgramSettings, ServiceSettings, load
from fc.stack.accounts import ADMIN
from fc.stack.layout import DEPLOYED, ROOT, SERVICES
from fc.stack.programs import process_class, setting_names
from xendit_sim.config import Settings as Simulator

EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
COMPOSE = re.sub(r"(?m)^\s*#.*$", "", (ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
CLASSES = {name: process_class(name) for name in DEPLOYED}
# What a service gets without a `.env`: no file, and the administrator that both stacks make.
BARE = {**ADMIN, "CONFIG_FILE": os.devnull}

_ENTRY = re.compile(r"(?P<off>#?)(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)")
_READ = re.compile(r"environ(?:\.get\(|\[)\s*\"([A-Z_]+)\"")

# Section 5 of the contract.
CONTRACT = """
DB_HOST DB_PORT DB_USER DB_PASSWORD DB_NAME REDIS_HOST REDIS_PORT REDIS_PASSWORD KAFKA_BROKER JWT_SECRET
GRPC_CREDENTIALS USER_SERVICE_ADDR PRODUCT_HOST MONGO_URI XENDIT_SECRET_API_KEY XENDIT_WEBHOOK_TOKEN XENDIT_BASE_URL
ADMIN_EMAIL ADMIN_PASSWORD VAULT_ADDR VAULT_TOKEN VAULT_ROLE_ID VAULT_SECRET_ID OTEL_EXPORTER_OTLP_ENDPOINT
JAEGER_ENDPOINT LOG_LEVEL SCHEDULER_PENDING_INTERVAL_S SCHEDULER_RETRY_INTERVAL_S PAYMENT_RETRY_BACKOFF_S
PAYMENT_MAX_TRIES SCHEDULER_EXPIRY_INTERVAL_S SCHEDULER_STATUS_INTERVAL_S SCHEDULER_STATUS_MIN_AGE_S INVOICE_DURATION_S
CURRENCY INVOICE_GIVE_UP_S LOGIN_LIMIT_PER_ADDRESS LOGIN_LIMIT_PER_ACCOUNT REGISTER_LIMIT_PER_ADDRESS TRUSTED_PROXIES
OUTBOX_MAX_TRIES CONSUMER_MAX_TRIES KAFKA_PARTITIONS KAFKA_REPLICATION SHUTDOWN_TIMEOUT_S ENVIRONMENT
DISABLE_CREATE_INVOICE_DIRECTLY
"""


@dataclass(frozen=True)
class Entry:
    """A line of the file; `active` unless it is commented out."""

    name: str
    value: str
    active: bool


def entries(text: str) -> list[Entry]:
    """Read the lines that give a value, commented out or not."""
    found = (_ENTRY.fullmatch(line) for line in text.splitlines())
    return [Entry(one["name"], one["value"], not one["off"]) for one in found if one]


def names_besides_settings() -> set[str]:
    """Return the names that the stacks themselves read: in the sources and in docker-compose.yml."""
    sources = [ROOT / "chassis/chassis/config/sources.py", *(ROOT / "scripts/fc").rglob("*.py")]
    read = {name for source in sources for name in _READ.findall(source.read_text(encoding="utf-8"))}
    simulator = (ROOT / "scripts/xendit_sim/config.py").read_text(encoding="utf-8")
    composed = re.findall(r"\$\{([A-Z_]+)", COMPOSE)
    return read | set(re.findall(r"XENDIT_SIM_[A-Z_]+", simulator)) | set(composed)


def loaded(cls: type[ProcessSettings], environment: Mapping[str, str]) -> dict[str, Any]:
    """Read a settings class in development from this environment alone; a Vault that it names is empty."""
    given = {"ENVIRONMENT": "development", **environment}
    with mock.patch.dict(os.environ, given, clear=True), mock.patch("chassis.config.vault.read", return_value={}):
        return dict(load(cls))


def names_of(cls: type[ProgramSettings]) -> set[str]:
    """Return the environment names of a settings class, aliases included."""
    found = {name.upper() for name in cls.model_fields}
    for field in cls.model_fields.values():
        extra = field.json_schema_extra
        aliases = extra["aliases"] if isinstance(extra, dict) else []
        found |= {str(alias).upper() for alias in aliases} if isinstance(aliases, list) else set()
    return found


def problems(text: str, classes: Mapping[str, type[ProcessSettings]], others: set[str]) -> list[str]:
    """Compare the file with the settings classes and with the other names that are read; one line per difference."""
    given = entries(text)
    names = [entry.name for entry in given]
    known = others.union(*(names_of(cls) for cls in classes.values()))
    found = [f"{name} is given twice" for name in sorted({name for name in names if names.count(name) > 1})]
    found += [f"{name} is missing" for name in sorted(known - set(names))]
    found += [f"{name} is nobody's setting" for name in sorted(set(names) - known)]
    return found + [problem for entry in given for problem in _value_problems(entry, classes)]


def _value_problems(entry: Entry, classes: Mapping[str, type[ProcessSettings]]) -> list[str]:
    """Name values that are refused or are not the default: of every class when active, of any when commented out."""
    found, others, same = [], [], False
    for service, cls in classes.items():
        if entry.name not in names_of(cls):
            continue
        default = loaded(cls, BARE)
        try:
            given = loaded(cls, {**BARE, entry.name: entry.value})
        except SystemExit as refused:
            found.append(str(refused))
            continue
        has_default = default.get(entry.name.lower()) not in (None, "")
        if given == default:
            same = True
        elif entry.active or has_default:
            others.append(service)
    if others and (entry.active or not same):
        found.append(f"{entry.name} is not the default of {', '.join(others)}")
    return found


class Extra(ServiceSettings):
    """A service with an undocumented setting."""

    service: ClassVar[str] = "extra"

    brand_new: int = setting("brand.new", 7)


def test_every_setting_stands_in_the_example_and_nothing_else_with_its_default() -> None:
    assert problems(EXAMPLE, CLASSES, names_besides_settings()) == []


def test_every_name_of_the_contract_is_a_setting_of_a_service() -> None:
    assert set(CONTRACT.split()) <= set().union(*(setting_names(service) for service in SERVICES))


@pytest.mark.parametrize(
    ("line", "instead", "says"),
    [
        ("OUTBOX_MAX_TRIES=12\n", "", "OUTBOX_MAX_TRIES is missing"),
        (
            "OUTBOX_MAX_TRIES=12\n",
            "OUTBOX_MAX_TRIES=12\nOUTBOX_MAX_TRIALS=12\n",
            "OUTBOX_MAX_TRIALS is nobody's setting",
        ),
        ("OUTBOX_MAX_TRIES=12\n", "OUTBOX_MAX_TRIES=12\nOUTBOX_MAX_TRIES=12\n", "OUTBOX_MAX_TRIES is given twice"),
        ("OUTBOX_MAX_TRIES=12\n", "OUTBOX_MAX_TRIES=13\n", "OUTBOX_MAX_TRIES is not the default of userfc, "),
        ("#DB_PORT=5433\n", "DB_PORT=5433\n", "DB_PORT is not the default of productfc, orderfc, paymentfc"),
        ("#DB_PORT=5433\n", "#DB_PORT=5499\n", "DB_PORT is not the default of userfc, "),
        ("#JAEGER_ENDPOINT=", "JAEGER_ENDPOINT=", "JAEGER_ENDPOINT is not the default of userfc, "),
        ("#HTTP_PORT=28080\n", "#HTTP_PORT=high\n", "userfc: setting HTTP_PORT: "),
        ("ADMIN_PASSWORD=admin12345\n", "ADMIN_PASSWORD=another-one\n", "ADMIN_PASSWORD is not the default of userfc"),
        ("#FC_HOME=.local\n", "", "FC_HOME is missing"),
        ("#XENDIT_SIM_DATA=xendit.sqlite\n", "", "XENDIT_SIM_DATA is missing"),
        ("#CONFIG_FILE=files/config/config.yaml\n", "", "CONFIG_FILE is missing"),
        ("BIND_ADDRESS=127.0.0.1\n", "", "BIND_ADDRESS is missing"),
    ],
)
def test_a_planted_difference_is_found(line: str, instead: str, says: str) -> None:
    assert EXAMPLE.count(line) == 1
    found = problems(EXAMPLE.replace(line, instead), CLASSES, names_besides_settings())
    assert any(one.startswith(says) for one in found)


def test_a_setting_that_is_new_in_the_code_is_found_missing() -> None:
    assert problems(EXAMPLE, {**CLASSES, "extra": Extra}, names_besides_settings()) == ["BRAND_NEW is missing"]


def test_the_lines_mean_to_the_stack_what_they_mean_here() -> None:
    active = {entry.name: entry.value for entry in entries(EXAMPLE) if entry.active}
    assert dotenv_values(stream=StringIO(EXAMPLE)) == active


def test_the_simulator_has_the_values_of_the_example() -> None:
    given = {entry.name: entry.value for entry in entries(EXAMPLE) if entry.name.startswith("XENDIT_SIM_")}
    assert Simulator.from_env({**given, "XENDIT_SIM_DATA": ""}) == Simulator()


def test_a_copy_of_the_example_does_not_lead_to_the_real_xendit() -> None:
    assert not [entry for entry in entries(EXAMPLE) if entry.name == "XENDIT_BASE_URL" and entry.active]


@pytest.mark.parametrize("service", DEPLOYED)
def test_the_configuration_file_of_a_service_repeats_its_defaults(service: str) -> None:
    file = ROOT / service / "files" / "config" / "config.yaml"
    cls = CLASSES[service]
    assert loaded(cls, {"CONFIG_FILE": str(file)}) == loaded(cls, {"CONFIG_FILE": os.devnull})


def test_a_configuration_file_that_differs_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("database: {port: 5499}\n", encoding="utf-8")
    assert loaded(CLASSES["orderfc"], {"CONFIG_FILE": str(file)})["db_port"] == 5499
