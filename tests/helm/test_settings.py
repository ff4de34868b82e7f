"""What the services are given by the chart: the same as by compose in development, and enough in production."""

import json
from importlib import import_module
from typing import Any
from unittest import mock

import pytest

from chassis.config import vault
from chassis.config.declare import declaration, is_secret
from chassis.config.settings import ProgramSettings, ServiceSettings, load
from fc.audit.settings import Settings as Auditor
from fc.stack.layout import CONSOLE, DEPLOYED, ROOT, SERVICES
from testkit.certificates import Certificates
from testkit.production import SECRETS
from tests.contract import compose
from tests.contract.test_compose import SERVICE_PORTS
from tests.contract.test_env_example import CLASSES, names_of
from tests.helm.policies import settings_of
from tests.helm.render import CHART, SETS, deployments, environment, labels, named, of_kind, rendered, template

# Set by the chart from other values, by the image, or refused by production.
ELSEWHERE = {"HTTP_PORT", "GRPC_PORT", "MANAGEMENT_PORT", "HTTP_PROCESSES", "HTTP_HOST", "FAILPOINTS", "CLOCK_FILE"}
OWNER = {"DB_MIGRATION_USER", "DB_MIGRATION_PASSWORD", "DB_AUDIT_PASSWORD"}
HIDDEN = {
    **SECRETS,
    "KAFKA_SASL_PASSWORD": "a secret of production, 0123456789",
    "MONGO_URI": "mongodb://audit.example.com/?tls=true",
    "VAULT_SECRET_ID": "a secret id of production, 0123456789",
}


def settings(service: str, given: dict[str, str]) -> dict[str, Any]:
    """Load the settings as a container does that has this environment."""
    file = str(ROOT / service / "files/config/config.yaml")
    with compose.only({**given, "CONFIG_FILE": file}):
        return dict(load(CLASSES[service]))


@pytest.mark.parametrize("service", DEPLOYED)
def test_in_development_a_service_has_the_settings_of_compose(service: str) -> None:
    objects = rendered("development")
    [one] = deployments(objects, service)
    here = settings(service, environment(objects, one))
    there = dict(compose.settings(compose.resolved(), service))
    differs = {name: value for name, value in here.items() if value != there[name]}
    vaults = {name: None for name in differs if name.startswith("vault_")}
    looked_at = {name: url for name, url in differs.items() if name.endswith("_management_host")}
    # The chart brings no Jaeger and no store of log lines.
    stores = {name: url for name, url in differs.items() if name in ("traces_url", "logs_url", "logs_kind")}
    assert differs == {"management_port": 9090} | vaults | looked_at | stores
    assert stores in ({}, {"traces_url": None, "logs_url": None, "logs_kind": "victorialogs"})
    assert looked_at == {
        f"{name.removesuffix('fc')}_management_host": f"http://{name}-management:9090"
        for name in (SERVICES if service == CONSOLE else ())
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_migration_has_the_settings_of_its_service_and_the_owner(service: str) -> None:
    objects = rendered("development")
    migrate = settings(service, environment(objects, named(objects, "Job", f"{service}-migrate-1")))
    owner = {"db_migration_user", "db_migration_password", "db_audit_password"}
    there = dict(compose.settings(compose.resolved(), service, f"{service}-migrate"))
    assert {name: migrate[name] for name in owner} == {name: there[name] for name in owner}
    [one] = deployments(objects, service)
    serve = settings(service, environment(objects, one))
    assert {name for name, value in migrate.items() if value != serve[name]} == owner


@pytest.mark.parametrize("name", SETS)
def test_every_name_in_an_environment_is_a_setting(name: str) -> None:
    objects = rendered(name)
    for one in of_kind(objects, "Deployment", "Job", "CronJob"):
        service = labels(one)["app.kubernetes.io/name"]
        assert set(environment(objects, one)) <= names_of(settings_of(service))


def _names(cls: type[ProgramSettings], *, secret: bool) -> set[str]:
    return {name.upper() for name, field in cls.model_fields.items() if is_secret(field) == secret}


def test_the_schema_of_the_values_knows_every_setting_and_every_secret() -> None:
    definitions = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))["definitions"]
    known = {name: set(one["enum"]) for name, one in definitions.items() if "enum" in one}
    for kind, secret in (("Settings", False), ("Secrets", True)):
        common = _names(ServiceSettings, secret=secret) - ELSEWHERE - OWNER
        assert known[f"common{kind}"] == common, f"change definitions.common{kind} of {CHART}/values.schema.json"
        for service, cls in CLASSES.items():
            own = _names(cls, secret=secret) - ELSEWHERE - OWNER - common
            assert known.get(f"{service}{kind}", set()) == own, f"change definitions.{service}{kind} likewise"
        assert known[f"auditor{kind}"] == _names(Auditor, secret=secret), f"change definitions.auditor{kind} likewise"


@pytest.mark.parametrize("service", DEPLOYED)
def test_a_service_has_the_ports_and_the_memory_of_compose(service: str) -> None:
    composed = compose.resolved()
    for name in SETS:
        objects = rendered(name)
        assert [port["port"] for port in named(objects, "Service", service)["spec"]["ports"]] == SERVICE_PORTS[service]
        for one in deployments(objects, service):
            [container] = one["spec"]["template"]["spec"]["containers"]
            env = environment(objects, one)
            ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
            given = {"http": env["HTTP_PORT"], "management": env["MANAGEMENT_PORT"], "grpc": env.get("GRPC_PORT", "")}
            assert ports.items() <= given.items()
            limit = container["resources"]["limits"]["memory"]
            assert limit == composed["services"][service]["mem_limit"].replace("m", "Mi")
        for one in of_kind(objects, "Job"):
            [container] = one["spec"]["template"]["spec"]["containers"]
            job = f"{labels(one)['app.kubernetes.io/name']}-{container['name']}"
            limit = container["resources"]["limits"]["memory"]
            assert limit == composed["services"][job]["mem_limit"].replace("m", "Mi")


def _composed(server: str) -> dict[str, Any]:
    """Return what compose says of a server, in the words of the chart."""
    one = compose.resolved()["services"][server]
    kind, *words = one["healthcheck"]["test"]
    return {
        "image": one["image"],
        "args": one.get("command"),
        "probe": ["sh", "-c", *words] if kind == "CMD-SHELL" else words,
        "memory": one["mem_limit"].replace("m", "Mi") if "mem_limit" in one else None,
        "env": {key: str(value) for key, value in one.get("environment", {}).items() if value != ""},
        "read-only": one.get("read_only", False),
    }


def test_the_servers_of_development_are_those_of_compose() -> None:
    objects = rendered("development")
    servers = {one["metadata"]["name"]: one for one in of_kind(objects, "StatefulSet")}
    usual = {name: one for name, one in compose.resolved()["services"].items() if "profiles" not in one}
    everything = {name for name, one in usual.items() if not compose.is_job(one)}
    assert set(servers) == everything - set(DEPLOYED) - {"vault", "vault-seed"}
    for name, one in servers.items():
        [container] = one["spec"]["template"]["spec"]["containers"]
        assert _composed(name) == {
            "image": container["image"],
            "args": container.get("args"),
            "probe": container["readinessProbe"]["exec"]["command"],
            "memory": container["resources"]["limits"]["memory"],
            "env": environment(objects, one),
            "read-only": container["securityContext"]["readOnlyRootFilesystem"],
        }
        assert container["startupProbe"]["exec"] == container["readinessProbe"]["exec"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls") / "files", "userfc")


def _mounted(given: dict[str, str], certificates: Certificates) -> dict[str, str]:
    """Replace the files of /tls, which are named as cert-manager does."""
    files = {"/tls/ca.crt": certificates.ca, "/tls/tls.crt": certificates.cert, "/tls/tls.key": certificates.key}
    return {name: files.get(value, value) for name, value in given.items()}


@pytest.mark.parametrize("service", DEPLOYED)
def test_the_example_of_production_starts_with_its_secrets(service: str, certificates: Certificates) -> None:
    objects = rendered("production")
    for one in deployments(objects, service):
        given = _mounted(environment(objects, one), certificates)
        with pytest.raises(SystemExit, match="is missing"):
            settings(service, given)
        hidden = {name: value for name, value in HIDDEN.items() if name in names_of(CLASSES[service])}
        assert settings(service, {**given, **hidden, "VAULT_SECRET_ID": ""})["environment"] == "production"


@pytest.mark.parametrize("service", DEPLOYED)
def test_the_example_of_vault_starts_with_the_id_of_its_role(service: str, certificates: Certificates) -> None:
    paths = {name.upper(): declaration(field).path for name, field in CLASSES[service].model_fields.items()}
    kept = {path: HIDDEN[name] for name, path in paths.items() if name in HIDDEN}

    def read(address: str, name: str, **login: Any) -> dict[str, Any]:
        assert (address, name, login["role_id"]) == ("https://vault.data.example.com:8200", service, service)
        assert login["secret_id"] == HIDDEN["VAULT_SECRET_ID"]
        return kept

    objects = rendered("production with Vault")
    [one, *_] = deployments(objects, service)
    given = _mounted(environment(objects, one), certificates) | {"VAULT_SECRET_ID": HIDDEN["VAULT_SECRET_ID"]}
    with mock.patch.object(vault, "read", read):
        assert settings(service, given)["jwt_secret"].get_secret_value() == HIDDEN["JWT_SECRET"]


def test_who_has_topics_has_a_job_for_them() -> None:
    jobs = {one["metadata"]["name"] for one in of_kind(rendered("production"), "Job")}
    topics = {f"{service}-topics" for service in SERVICES if import_module(f"{service}.app").SERVICE.topics}
    assert jobs == {f"{service}-migrate" for service in SERVICES} | topics


def test_the_user_of_the_pods_is_that_of_the_image() -> None:
    files = [ROOT / "deploy/Dockerfile", ROOT / "deploy/Dockerfile.auditor"]
    [user] = {line for file in files for line in file.read_text().splitlines() if line.startswith("USER ")}
    for one in of_kind(rendered("production"), "Deployment", "Job", "CronJob"):
        security = template(one)["spec"]["securityContext"]
        assert user == f"USER {security['runAsUser']}:{security['runAsGroup']}"
