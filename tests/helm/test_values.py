"""Values that the chart does not take: its schema and its templates refuse them with a line that names them."""

from collections.abc import Mapping
from typing import Any

import pytest

from fc.stack.layout import DEPLOYED
from tests.helm.render import environment, named, of_kind, refused, rendered
from tests.helm.render import helm as run

PRODUCTION = ["values-production.yaml"]
DEVELOPMENT = ["values-dev.yaml"]


def of_orderfc(**values: Any) -> Mapping[str, Any]:
    return {"services": {"orderfc": values}}


REFUSED: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "a name that no value has": ({"replicas": 3}, "additional properties 'replicas' not allowed"),
    "a sixth service": ({"services": {"shipfc": {"port": 28085}}}, "additional properties 'shipfc' not allowed"),
    "a database for the console": (
        {"services": {"console": {"settings": {"DB_HOST": "x"}}}},
        "invalid propertyName 'DB_HOST'",
    ),
    "public routes of the console": (
        {"services": {"console": {"paths": ["/v1/orders"]}}},
        "at '/services/console/paths'",
    ),
    "no service": ({"services": {"orderfc": None}}, "missing property 'orderfc'"),
    "a setting that nobody has": ({"settings": {"OUTBOX_MAX_TRIALS": "3"}}, "invalid propertyName 'OUTBOX_MAX_TRIALS'"),
    "a setting of another service": (
        of_orderfc(settings={"PDF_MAX_QUEUE": "3"}),
        "invalid propertyName 'PDF_MAX_QUEUE'",
    ),
    "a number for a setting": ({"settings": {"HTTP_MAX_BODY_BYTES": 33554432}}, "got number, want string"),
    "a secret among the settings": ({"settings": {"JWT_SECRET": "known"}}, "invalid propertyName 'JWT_SECRET'"),
    "a secret of another service": (
        of_orderfc(secret={"values": {"XENDIT_WEBHOOK_TOKEN": "x"}}),
        "invalid propertyName 'XENDIT_WEBHOOK_TOKEN'",
    ),
    "the owner's password for a service": (
        of_orderfc(secret={"values": {"DB_MIGRATION_PASSWORD": "x"}}),
        "invalid propertyName 'DB_MIGRATION_PASSWORD'",
    ),
    "a port": (of_orderfc(port=70000), "maximum: got 70,000, want 65,535"),
    "processes": ({"defaults": {"httpProcesses": 17}}, "maximum: got 17, want 16"),
    "no replica": ({"defaults": {"http": {"replicas": 0}}}, "minimum: got 0, want 1"),
    "memory without a unit": ({"defaults": {"http": {"memory": "512"}}}, "at '/defaults/http/memory'"),
    "the tag latest": ({"image": {"tag": "latest"}}, "at '/image/tag'"),
    "a public route of administrators": (of_orderfc(paths=["/v1/admin"]), "at '/services/orderfc/paths/0'"),
    "all routes": (of_orderfc(paths=["/v1"]), "at '/services/orderfc/paths/0'"),
    "a call of a stranger": (of_orderfc(calls={"redis": "http"}), "invalid propertyName 'redis'"),
    "an empty peer": ({"networkPolicy": {"ingressFrom": [{}]}}, "at '/networkPolicy/ingressFrom/0'"),
    "a setting that the auditor has not": (
        {"auditor": {"settings": {"JWT_SECRET": "x"}}},
        "invalid propertyName 'JWT_SECRET'",
    ),
    "a secret among the auditor's settings": (
        {"auditor": {"settings": {"MONGO_URI": "x"}}},
        "invalid propertyName 'MONGO_URI'",
    ),
    "a schedule of four words": ({"auditor": {"schedule": "17 3 * *"}}, "at '/auditor/schedule'"),
    "an ingress without a host": ({"ingress": {"host": ""}}, "at '/ingress/host'"),
    "a console without a host": ({"consoleIngress": {"host": ""}}, "at '/consoleIngress/host'"),
    # What the templates refuse.
    "no secret": (
        of_orderfc(secret={"existing": ""}),
        "services.orderfc.secret: name an existing Secret, or give values",
    ),
    "no secret of the owner": (
        of_orderfc(migration={"secret": {"existing": ""}}),
        "services.orderfc.migration.secret: name an existing Secret, or give values",
    ),
    "a secret that is made too late": (
        of_orderfc(secret={"existing": "", "values": {"DB_PASSWORD": "x"}}),
        "services.orderfc.secret.values: with hooks the Secret must exist before the release",
    ),
    "an owner's secret that is made too late": (
        of_orderfc(migration={"secret": {"existing": "", "values": {"DB_MIGRATION_PASSWORD": "x"}}}),
        "services.orderfc.migration.secret.values: with hooks the Secret must exist before the release",
    ),
    "an auditor without a secret": (
        {"auditor": {"secret": {"existing": ""}}},
        "auditor.secret: name an existing Secret, or give values",
    ),
    "a database of an unknown port": ({"settings": {"DB_PORT": ""}}, "settings.DB_PORT: the auditor has to know it"),
    "a server that has no port": (of_orderfc(uses=["oracle"]), "networkPolicy.servers has no oracle"),
    "an ingress that reaches nobody": ({"networkPolicy": {"ingressFrom": []}}, "networkPolicy.ingressFrom: is empty"),
    "workers without work": (of_orderfc(worker={"replicas": 7}), "of 7 replicas only KAFKA_PARTITIONS (6) would have"),
    "scaling to workers without work": (
        of_orderfc(worker={"autoscaling": {"enabled": True, "maxReplicas": 7}}),
        "of 7 replicas only KAFKA_PARTITIONS (6) would have work",
    ),
    "servers in production": (
        {
            "servers": {
                "redis": {"image": "a:1", "user": 1, "group": 1, "ports": {"a": 1}, "memory": "1Mi", "probe": ["a"]}
            }
        },
        "for ENVIRONMENT=development only",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_values_that_would_do_harm_are_refused(what: str) -> None:
    values, says = REFUSED[what]
    assert says in refused(PRODUCTION, values)


def test_the_chart_does_not_install_without_secrets() -> None:
    assert "secret: name an existing Secret, or give values" in refused([], {})


def test_more_workers_are_allowed_with_more_partitions() -> None:
    assert refused(PRODUCTION, {"settings": {"KAFKA_PARTITIONS": "12"}, **of_orderfc(worker={"replicas": 12})}) == ""


def test_processes_and_time_to_stop_come_from_the_values() -> None:
    values = {"defaults": {"httpProcesses": 2}, "settings": {"SHUTDOWN_TIMEOUT_S": "60"}}
    assert refused(DEVELOPMENT, values) == ""
    objects = rendered("development, workers apart")
    for one in of_kind(objects, "Deployment"):
        assert environment(objects, one)["HTTP_PROCESSES"] == "4"
    text = run("template", DEVELOPMENT, values).stdout
    assert text.count("terminationGracePeriodSeconds: 70") == len(DEPLOYED)


def test_what_a_service_says_itself_wins_also_when_it_is_no() -> None:
    values = {"defaults": {"worker": {"enabled": True}}, "services": {"userfc": {"worker": {"enabled": False}}}}
    text = run("template", DEVELOPMENT, values).stdout
    assert "name: orderfc-worker" in text
    assert "name: userfc-worker" not in text


def test_other_settings_start_the_pods_again() -> None:
    def checksum(values: Mapping[str, Any]) -> str:
        text = run("template", DEVELOPMENT, values).stdout
        return next(line for line in text.splitlines() if "checksum/settings" in line)

    before = checksum({})
    assert checksum({}) == before
    assert checksum({"settings": {"LOG_LEVEL": "DEBUG"}}) != before
    assert checksum({"defaults": {"secret": {"values": {"JWT_SECRET": "another"}}}}) != before


def test_the_service_leads_to_http_and_never_to_a_worker() -> None:
    objects = rendered("development, workers apart")
    for service in DEPLOYED:
        assert named(objects, "Service", service)["spec"]["selector"]["app.kubernetes.io/component"] == "http"
