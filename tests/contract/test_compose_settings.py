"""The environment that docker-compose.yml gives to the services: settings, secrets and Vault."""

import re
import subprocess
from importlib import import_module
from urllib.parse import urlsplit

import pytest

from fc.stack.layout import DEPLOYED, ROOT, SERVICES
from tests.contract.compose import (
    PRODUCTION,
    SECRETS,
    development_secrets,
    environment,
    fill_vault,
    resolved,
    settings,
    unread,
)
from tests.contract.test_env_example import CLASSES, EXAMPLE, entries, names_of
from xendit_sim.config import Settings as Simulator


@pytest.mark.parametrize("service", DEPLOYED)
def test_every_name_in_the_environment_of_a_service_is_one_of_its_settings(service: str) -> None:
    assert unread(resolved(), service, CLASSES[service]) == set()


@pytest.mark.parametrize("service", DEPLOYED)
def test_what_the_example_of_env_offers_reaches_the_service(service: str) -> None:
    offered = {entry.name for entry in entries(EXAMPLE) if entry.active} & names_of(CLASSES[service])
    given = {name: f"given {name}" for name in [*offered, "XENDIT_BASE_URL"]}
    arrived = environment(resolved(given), service)
    assert {name: arrived.get(name) for name in offered} == {name: given[name] for name in offered}
    assert arrived.get("XENDIT_BASE_URL", "given XENDIT_BASE_URL") == "given XENDIT_BASE_URL"


@pytest.mark.parametrize("service", DEPLOYED)
def test_a_service_finds_the_servers_and_its_neighbours(service: str) -> None:
    compose = resolved()
    found = settings(compose, service)
    advertised = environment(compose, "kafka")["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert f"INTERNAL://{found.kafka_broker}" in advertised
    assert (found.redis_host, found.redis_port) == ("redis", 6379)
    assert found.redis_password.get_secret_value() == environment(compose, "redis")["REDISCLI_AUTH"]
    assert found.user_service_addr == f"userfc:{CLASSES['userfc'].model_fields['grpc_port'].default}"
    assert found.otel_exporter_otlp_endpoint == "http://jaeger:4318"
    if service == "orderfc":
        assert found.product_host == "http://productfc:28081"
    if service == "console":
        assert found.urls() == {
            other: f"http://{other}:{CLASSES[other].model_fields['http_port'].default}" for other in SERVICES
        }
    if service == "paymentfc":
        assert found.mongo_uri.get_secret_value() == "mongodb://mongo:27017"


@pytest.mark.parametrize("service", DEPLOYED)
def test_production_refuses_the_development_secrets_and_takes_those_of_env(service: str) -> None:
    with pytest.raises(SystemExit, match="is the development default"):
        settings(resolved({"ENVIRONMENT": "production"}), service)
    found = settings(resolved(PRODUCTION), service)
    assert found.environment == "production"
    assert found.jwt_secret.get_secret_value() == SECRETS["JWT_SECRET"]


@pytest.mark.parametrize("service", DEPLOYED)
def test_vault_alone_gives_a_service_its_secrets(service: str) -> None:
    compose = resolved(SECRETS)
    for name in set(SECRETS) - {"ADMIN_PASSWORD"}:
        compose["services"][service]["environment"].pop(name, None)
    found = settings(compose, service)
    for name in set(SECRETS) & names_of(CLASSES[service]):
        assert getattr(found, name.lower()).get_secret_value() == SECRETS[name]


def test_vault_holds_every_secret_of_a_service_and_only_its_own_may_be_read() -> None:
    filled = fill_vault(resolved())
    assert filled.secrets == {service: development_secrets(cls) for service, cls in CLASSES.items()}
    assert len(set(filled.secret_ids.values())) == len(DEPLOYED)
    for service in DEPLOYED:
        policy = re.sub(r"(?m)^#.*$", "", filled.policies[service])
        assert "".join(policy.split()) == f'path"secret/data/{service}"{{capabilities=["read"]}}'


def test_no_secret_is_an_argument_of_a_process() -> None:
    compose = resolved(SECRETS)
    filled = fill_vault(compose)
    secrets = {*SECRETS.values(), *filled.secret_ids.values()}
    assert not [word for word in filled.arguments if any(secret in word for secret in secrets)]
    assert not [name for name, one in compose["services"].items() if any(s in str(one.get("command")) for s in secrets)]


def test_the_job_runs_the_script_at_start_and_when_vault_has_forgotten() -> None:
    job = resolved()["services"]["vault-seed"]
    folder, _, inside = job["volumes"][0].removesuffix(":ro").rpartition(":")
    first, *again = job["entrypoint"][-1].splitlines()
    script = first.removeprefix(f"sh {inside}/")
    assert (ROOT / folder / script).is_file()
    assert f"|| {first}" in " ".join(again)


def test_a_secret_that_is_not_given_stops_the_filling_of_vault() -> None:
    compose = resolved()
    del compose["services"]["vault-seed"]["environment"]["JWT_SECRET"]
    with pytest.raises(subprocess.CalledProcessError) as failed:
        fill_vault(compose)
    assert b"JWT_SECRET" in failed.value.stderr


@pytest.mark.parametrize("env", [{}, SECRETS])
def test_the_simulator_and_paymentfc_agree(env: dict[str, str]) -> None:
    compose = resolved(env)
    simulator = Simulator.from_env(environment(compose, "xendit-simulator"))
    payment = settings(compose, "paymentfc")
    called = urlsplit(simulator.callback_url)
    routes = {route.path for route in import_module("paymentfc.handler.http").router.routes}
    assert (called.hostname, called.port) == ("paymentfc", payment.http_port)
    assert called.path in routes
    assert simulator.public_url == "http://localhost:28090"
    assert payment.xendit_base_url == f"http://xendit-simulator:{simulator.port}"
    assert simulator.key == payment.xendit_secret_api_key.get_secret_value()
    assert simulator.callback_token == payment.xendit_webhook_token.get_secret_value()
