"""The chart renders, is valid for the oldest and the newest Kubernetes, and keeps the rules for all its parts."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from chassis import __version__
from fc.stack.layout import CONSOLE, DEPLOYED, SERVICES
from tests.helm.policies import violations
from tests.helm.render import CHART, SETS, Object, helm, labels, named, of_kind, rendered, template
from tests.helm.schemas import VERSIONS, invalid


@pytest.mark.parametrize("name", SETS)
def test_helm_finds_nothing_wrong(name: str) -> None:
    done = helm("lint", *SETS[name])
    assert done.returncode == 0, done.stdout
    assert re.findall(r"(?m)^\[(?:WARNING|ERROR)\].*", done.stdout) == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SETS)
def test_kubernetes_knows_every_field(name: str, version: str) -> None:
    assert invalid(rendered(name), version) == []


def test_the_oldest_version_is_that_of_the_chart() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["kubeVersion"] == f">={VERSIONS[0]}.0-0"


def test_a_field_that_kubernetes_does_not_know_is_found() -> None:
    planted = rendered("production")
    named(planted, "Deployment", "orderfc")["spec"]["template"]["spec"]["terminationGracePeriod"] = 30
    named(planted, "Service", "orderfc")["spec"]["ports"][0]["port"] = "28082"
    found = invalid(planted, VERSIONS[-1])
    assert len(found) == 2
    assert any("'terminationGracePeriod' was unexpected" in line for line in found)
    assert any("Service orderfc: spec.ports.0.port" in line for line in found)


@pytest.mark.parametrize("name", SETS)
def test_everything_keeps_the_rules(name: str) -> None:
    assert violations(rendered(name)) == []


def test_the_sets_have_every_kind_of_object() -> None:
    kinds = {one["kind"] for name in SETS for one in rendered(name)}
    assert kinds == {
        *("ConfigMap", "Secret", "ServiceAccount", "Deployment", "StatefulSet", "Job", "Service", "Ingress"),
        *("HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor"),
        *("PrometheusRule", "CronJob"),
    }


def test_a_service_is_one_deployment_or_two() -> None:
    commands = {
        name: {
            one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0]["args"]
            for one in of_kind(rendered(name), "Deployment")
        }
        for name in SETS
    }
    assert commands["development"] == {name: ["serve"] for name in DEPLOYED}
    apart = {service: ["api"] for service in SERVICES} | {f"{service}-worker": ["worker"] for service in SERVICES}
    assert commands["development, workers apart"] == apart | {CONSOLE: ["serve"]}


def test_a_version_of_the_chart_alone_starts_no_pod_again() -> None:
    for one in of_kind(rendered("development"), "Deployment", "StatefulSet"):
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(labels(one))


def test_the_chart_and_its_images_have_the_version_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["version"] == chart["appVersion"] == __version__


def _container(kind: str, name: str, key: str, value: Any) -> Callable[[list[Object]], None]:
    def plant(objects: list[Object]) -> None:
        [container] = template(named(objects, kind, name))["spec"]["containers"]
        container[key] = value

    return plant


def _pod(kind: str, name: str, key: str, value: Any) -> Callable[[list[Object]], None]:
    def plant(objects: list[Object]) -> None:
        template(named(objects, kind, name))["spec"][key] = value

    return plant


def _spec(kind: str, name: str, key: str, value: Any) -> Callable[[list[Object]], None]:
    def plant(objects: list[Object]) -> None:
        named(objects, kind, name)["spec"][key] = value

    return plant


def _notes(kind: str, name: str, value: Any) -> Callable[[list[Object]], None]:
    def plant(objects: list[Object]) -> None:
        named(objects, kind, name)["metadata"]["annotations"] = value

    return plant


def _without(kind: str, name: str) -> Callable[[list[Object]], None]:
    return lambda objects: objects.remove(named(objects, kind, name))


_OTHER = {"app.kubernetes.io/name": "nobody"}
_PROBE = {"httpGet": {"path": "/ping", "port": "management"}}
_WEIGHT = {"helm.sh/hook": "pre-install", "helm.sh/hook-weight": "-10"}
_ALL = {"ports": [{"port": 1}], "from": []}
_SELECTOR = {"matchLabels": {"app.kubernetes.io/name": "orderfc", "app.kubernetes.io/instance": "shop"}}

PLANTED: dict[str, tuple[Callable[[list[Object]], None], str]] = {
    "privileges": (_container("Deployment", "orderfc", "securityContext", {}), "Deployment orderfc: is not confined"),
    "a job's privileges": (
        _container("Job", "orderfc-migrate", "securityContext", {}),
        "Job orderfc-migrate: is not conf",
    ),
    "root": (_pod("Deployment", "orderfc", "securityContext", {}), "Deployment orderfc: runs as root"),
    "an image that is written to": (
        _container("Deployment", "orderfc", "securityContext", {"allowPrivilegeEscalation": False}),
        "Deployment orderfc: can write",
    ),
    "a token": (_pod("Job", "orderfc-topics", "automountServiceAccountToken", True), "Job orderfc-topics: has a token"),
    "links": (_pod("Deployment", "orderfc", "enableServiceLinks", True), "Deployment orderfc: gets settings"),
    "latest": (
        _container("Deployment", "orderfc", "image", "x/orderfc:latest"),
        "Deployment orderfc: the image x/order",
    ),
    "no limit": (_container("Deployment", "orderfc", "resources", {}), "Deployment orderfc: its memory is not limited"),
    "no processor": (
        _container("Job", "userfc-migrate", "resources", {"limits": {"memory": "1Gi"}, "requests": {"memory": "1Gi"}}),
        "Job userfc-migrate: reserves no processor",
    ),
    "another probe": (
        _container("Deployment", "orderfc", "readinessProbe", _PROBE),
        "Deployment orderfc: its readiness",
    ),
    "no probe": (
        _container("Deployment", "orderfc", "livenessProbe", {}),
        "Deployment orderfc: its livenessProbe does not",
    ),
    "a probe of no port": (
        _container("Deployment", "orderfc", "ports", []),
        "Deployment orderfc: its startupProbe asks a",
    ),
    "a short grace": (
        _pod("Deployment", "orderfc", "terminationGracePeriodSeconds", 25),
        "Deployment orderfc: is killed before",
    ),
    "a gap": (
        _spec("Deployment", "orderfc", "strategy", {"rollingUpdate": {"maxUnavailable": 1}}),
        "Deployment orderfc: is away",
    ),
    "a selector of others": (_spec("Deployment", "orderfc", "selector", _SELECTOR), "Deployment orderfc: its selector"),
    "a Service of nobody": (_spec("Service", "orderfc", "selector", _OTHER), "Service orderfc: leads to no pod"),
    "a Service of jobs": (
        _spec("Service", "userfc", "ports", [{"port": 1, "targetPort": "web"}]),
        "Service userfc: leads to no pod",
    ),
    "a budget of nobody": (
        _spec("PodDisruptionBudget", "orderfc", "selector", {"matchLabels": _OTHER}),
        "PodDisruptionBudget orderfc: selects no pod",
    ),
    "a budget of all": (
        _spec("PodDisruptionBudget", "orderfc", "minAvailable", 3),
        "Deployment orderfc: a node's drain",
    ),
    "no budget": (_without("PodDisruptionBudget", "orderfc"), "Deployment orderfc: a node's drain"),
    "scaling of nothing": (
        _spec("HorizontalPodAutoscaler", "orderfc", "scaleTargetRef", {"name": "order"}),
        "HorizontalPodAutoscaler orderfc: scales nothing",
    ),
    "replicas beside scaling": (
        _spec("Deployment", "orderfc", "replicas", 3),
        "Deployment orderfc: each upgrade would",
    ),
    "an account too late": (
        _notes("ServiceAccount", "shop-jobs", {}),
        "Job orderfc-migrate: needs ServiceAccount shop-j",
    ),
    "migrations first": (
        _notes("Job", "orderfc-migrate", _WEIGHT),
        "Job orderfc-migrate: does not come after the topics",
    ),
    "one job that is no hook": (_notes("Job", "orderfc-migrate", {}), "some jobs are hooks and some are not"),
    "no account": (_without("ServiceAccount", "orderfc"), "Deployment orderfc: ServiceAccount orderfc is not there"),
    "no settings": (_without("ConfigMap", "orderfc"), "Deployment orderfc: ConfigMap orderfc is not there"),
    "an ingress to nowhere": (_without("Service", "orderfc"), "Ingress shop: /v1/orders leads nowhere"),
    "a secret that is shown": (
        _container("Job", "orderfc-topics", "env", [{"name": "JWT_SECRET", "value": "known"}]),
        "Job orderfc-topics: shows JWT_SECRET",
    ),
    "the owner's password": (
        _container("Deployment", "orderfc", "env", [{"name": "DB_MIGRATION_PASSWORD", "value": "known"}]),
        "Deployment orderfc: has the password of the tables' owner",
    ),
    "an open policy": (
        _spec("NetworkPolicy", "orderfc", "ingress", [_ALL]),
        "NetworkPolicy orderfc: lets everybody in",
    ),
    "an open way out": (
        _spec("NetworkPolicy", "orderfc", "egress", [{}]),
        "NetworkPolicy orderfc: lets everything out",
    ),
    "no policy": (_without("NetworkPolicy", "orderfc"), "Deployment orderfc: has no policy"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_violation_is_found(what: str) -> None:
    plant, says = PLANTED[what]
    planted = rendered("production")
    plant(planted)
    assert any(line.startswith(says) for line in violations(planted)), violations(planted)
