"""`docker-compose.yml` runs what the contract names: pinned images, ports, health checks, start order."""

import os
import re
from copy import deepcopy
from importlib import import_module
from typing import Any

import pytest

from chassis.config.settings import load
from fc.stack.layout import CONSOLE, DEPLOYED, ROOT, SERVICES
from fc.stack.programs import settings_class
from tests.contract.compose import (
    SECRETS,
    Compose,
    environment,
    is_job,
    needed,
    only,
    published,
    resolved,
    settings,
    unread,
)
from tests.contract.test_env_example import CLASSES

DATABASE_PORTS = {"userfc": 5433, "productfc": 5434, "orderfc": 5435, "paymentfc": 5436}
SERVICE_PORTS = {"userfc": [28080, 50051], "productfc": [28081], "orderfc": [28082], "paymentfc": [28083]}
SERVICE_PORTS[CONSOLE] = [28084]

SERVER_PORTS = {
    "redis": [6379],
    "kafka": [29092],
    "mongo": [27017],
    "vault": [8200],
    "jaeger": [16686, 4317, 4318],
    "kafdrop": [29000],
    "xendit-simulator": [28090],
    "prometheus": [9090],
    "grafana": [3000],
    "collector": [],
    "loki": [],
}
# Whose image has nothing that could ask: Prometheus has an alert for it.
MUTE = {"collector"}
OBSERVE = {"collector", "prometheus", "loki", "grafana"}

TOPICS = {
    "order.created",
    "order.cancelled",
    "stock.updated",
    "stock.rollback",
    "stock.rejected",
    "payment.success",
    "payment.failed",
}
_VERSION = re.compile(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-[\w.]+)?")


def violations(compose: Compose) -> list[str]:
    """Name every violation of the rules for all containers."""
    found = []
    services = compose["services"]
    built = {service["image"] for service in services.values() if "build" in service}
    for name, service in services.items():
        if service["image"] not in built and not _VERSION.fullmatch(service["image"]):
            found.append(f"{name}: the image {service['image']} is not pinned")
        if not is_job(service) and service.get("restart") != "unless-stopped":
            found.append(f"{name}: does not come back")
        if not is_job(service) and name not in MUTE and not service.get("healthcheck", {}).get("test"):
            found.append(f"{name}: has no health check")
        if service.get("stop_grace_period") != "25s":
            found.append(f"{name}: has another time to stop")
        if "mem_limit" not in service:
            found.append(f"{name}: has no limit of memory")
        if service.get("cap_drop") != ["ALL"] or service.get("security_opt") != ["no-new-privileges:true"]:
            found.append(f"{name}: is not confined")
        found += _needs(name, service, services) + _build(name, service) + _volumes(name, service, compose)
    return found


def _needs(name: str, service: dict[str, Any], services: dict[str, Any]) -> list[str]:
    found = []
    for other, need in service.get("depends_on", {}).items():
        if other not in services:
            found.append(f"{name}: depends on {other}, which is not there")
        elif need["condition"] == "service_completed_successfully" and not is_job(services[other]):
            found.append(f"{name}: waits for {other} to end, which it does not")
        elif need["condition"] != "service_completed_successfully" and is_job(services[other]):
            found.append(f"{name}: does not wait for {other} to end")
    return found


def _build(name: str, service: dict[str, Any]) -> list[str]:
    build = service.get("build")
    if not build:
        return []
    found = [] if (ROOT / build["dockerfile"]).is_file() else [f"{name}: {build['dockerfile']} is not there"]
    made_for = build.get("args", {}).get("SERVICE", name)
    return found + ([f"{name}: is built for {made_for}"] if made_for != name else [])


def _volumes(name: str, service: dict[str, Any], compose: Compose) -> list[str]:
    named = [volume.split(":")[0] for volume in service.get("volumes", []) if not volume.startswith((".", "/"))]
    return [f"{name}: the volume {one} is not declared" for one in named if one not in compose["volumes"]]


def test_everything_is_pinned_comes_back_says_how_it_is_and_names_what_exists() -> None:
    assert violations(resolved()) == []


@pytest.mark.parametrize(
    ("service", "key", "value", "says"),
    [
        ("redis", "image", "redis", "the image redis is not pinned"),
        ("redis", "image", "redis:latest", "the image redis:latest is not pinned"),
        ("kafka", "restart", None, "does not come back"),
        ("orderfc", "healthcheck", None, "has no health check"),
        ("orderfc", "healthcheck", {"interval": "1s"}, "has no health check"),
        ("orderfc", "stop_grace_period", "10s", "has another time to stop"),
        ("kafka", "cap_drop", None, "is not confined"),
        ("orderfc", "security_opt", [], "is not confined"),
        ("mongo", "mem_limit", None, "has no limit of memory"),
        ("orderfc", "depends_on", {"zookeeper": {"condition": "service_healthy"}}, "depends on zookeeper, which"),
        ("orderfc", "depends_on", {"kafka": {"condition": "service_completed_successfully"}}, "waits for kafka to end"),
        (
            "orderfc",
            "depends_on",
            {"orderfc-migrate": {"condition": "service_started"}},
            "does not wait for orderfc-mi",
        ),
        ("orderfc", "build", {"dockerfile": "Dockerfile", "args": {"SERVICE": "orderfc"}}, "Dockerfile is not there"),
        ("orderfc", "build", {"dockerfile": "deploy/Dockerfile", "args": {"SERVICE": "userfc"}}, "is built for userfc"),
        ("redis", "volumes", ["elsewhere:/data"], "the volume elsewhere is not declared"),
    ],
)
def test_a_planted_violation_is_found(service: str, key: str, value: Any, says: str) -> None:
    planted = deepcopy(resolved())
    planted["services"][service].pop(key, None)
    if value is not None:
        planted["services"][service][key] = value
    assert any(one.startswith(f"{service}: {says}") for one in violations(planted))


def test_callers_reach_the_services_and_the_services_alone_reach_the_data() -> None:
    services = resolved()["services"]
    members = {name: set(one["networks"]) for name, one in services.items()}
    databases = {f"{service}-db" for service in SERVICES}
    assert members["auditor"] == {"data", "edge"}
    assert {name for name, networks in members.items() if "edge" in networks} - {"auditor"} == {
        *DEPLOYED,
        "xendit-simulator",
    }
    assert all(members[name] == {"data"} for name in {*databases, "redis", "mongo", "vault", "vault-seed"})
    assert {name for name, networks in members.items() if "tools" in networks} == {
        *DEPLOYED,
        "kafka",
        "kafdrop",
        "jaeger",
        *OBSERVE,
    }
    assert {name: one["profiles"] for name, one in services.items() if "profiles" in one} == {
        "kafdrop": ["tools"],
        "auditor": ["audit"],
        **dict.fromkeys(OBSERVE, ["observe"]),
    }


def test_an_environment_name_that_no_setting_has_is_found() -> None:
    planted = resolved()
    planted["services"]["orderfc"]["environment"]["OUTBOX_MAX_TRIALS"] = "3"
    assert unread(planted, "orderfc", CLASSES["orderfc"]) == {"OUTBOX_MAX_TRIALS"}


@pytest.mark.parametrize("service", DEPLOYED)
def test_a_service_has_the_ports_of_the_contract_the_same_inside_and_outside(service: str) -> None:
    compose = resolved()
    assert published(compose, service) == [(port, port) for port in SERVICE_PORTS[service]]
    found = settings(compose, service)
    assert [found.http_port, *([found.grpc_port] if found.grpc_port else [])] == SERVICE_PORTS[service]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_a_postgresql_server_of_its_own(service: str) -> None:
    for env in ({}, SECRETS):
        compose = resolved(env)
        found = settings(compose, service)
        server = environment(compose, found.db_host)
        assert published(compose, found.db_host) == [(DATABASE_PORTS[service], found.db_port)]
        assert (found.db_user, server["POSTGRES_DB"]) == (f"{service}_app", found.db_name)
        migrating = settings(compose, service, f"{service}-migrate")
        owner = migrating.db_migration_user, migrating.db_migration_password.get_secret_value()
        assert (server["POSTGRES_USER"], server["POSTGRES_PASSWORD"]) == owner
        assert (migrating.db_user, migrating.db_password) == (found.db_user, found.db_password)
        assert (found.db_migration_user, found.db_migration_password) == (None, None)
    with only({"CONFIG_FILE": os.devnull, "ENVIRONMENT": "development"}):
        alone = load(settings_class(service))
    assert (alone.db_name, alone.db_port) == (found.db_name, DATABASE_PORTS[service])
    hosts = [environment(compose, other)["DB_HOST"] for other in SERVICES]
    assert len(set(hosts)) == len(SERVICES)


def test_the_servers_have_the_ports_of_the_contract() -> None:
    compose = resolved()
    for server, ports in SERVER_PORTS.items():
        assert [outside for outside, _ in published(compose, server)] == ports
    everything = {*DEPLOYED, *SERVER_PORTS, *(environment(compose, service)["DB_HOST"] for service in SERVICES)}
    jobs = {name for name, service in compose["services"].items() if is_job(service)}
    assert set(compose["services"]) == everything | jobs | {"vault-seed"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_after_its_migrations_and_after_every_topic(service: str) -> None:
    compose = resolved()
    jobs = {name: one for name, one in compose["services"].items() if is_job(one) and "profiles" not in one}
    for name, job in jobs.items():
        owner, command = name.rsplit("-", 1)
        assert job["command"] == [command]
        assert job["image"] == compose["services"][owner]["image"]
        owner_of_tables = {"DB_MIGRATION_USER": "admin", "DB_MIGRATION_PASSWORD": "admin", "DB_AUDIT_PASSWORD": "admin"}
        migration = owner_of_tables if command == "migrate" else {}
        assert job["environment"] == migration | compose["services"][owner]["environment"]
        assert job["healthcheck"] == {"disable": True}
    topics = {other: set(import_module(f"{other}.app").SERVICE.topics) for other in SERVICES}
    assert set().union(*topics.values()) == TOPICS
    makers = {f"{other}-topics" for other, used in topics.items() if used}
    waits = needed(compose, service) & set(jobs)
    assert waits == {f"{service}-migrate"} | (makers if topics[service] else set())
    assert makers | {f"{other}-migrate" for other in SERVICES} == set(jobs)
