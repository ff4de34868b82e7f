"""Runs helm on the chart, and reads what it renders."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fc.stack.layout import DEPLOYED, ROOT

CHART = ROOT / "deploy/helm/go-commerce"
HELM = Path(sys.prefix) / "helm/bin/helm"
RELEASE = "shop"

Object = dict[str, Any]
Values = Mapping[str, Any]

_EXISTING = {"services": {name: {"secret": {"existing": name}} for name in DEPLOYED}} | {
    "defaults": {"migration": {"user": "owner", "secret": {"existing": "owner"}}}
}
_APART = {"defaults": {"worker": {"enabled": True, "autoscaling": {"enabled": True}}, "httpProcesses": 4}}
_EVERYTHING = {
    "ingress": {"annotations": {"example.com/of": "mine"}},
    "services": {"userfc": {"worker": {"enabled": True}}},
}

# Files of the chart, and values beside them.
SETS: Mapping[str, tuple[Sequence[str], Values]] = {
    "development": (["values-dev.yaml"], {}),
    "development, workers apart": (["values-dev.yaml"], _APART),
    "production": (["values-production.yaml"], {}),
    "production with Vault": (["values-production.yaml", "values-vault.yaml"], {}),
    "production with everything": (["values-production.yaml", "values-vault.yaml"], _EVERYTHING),
    "existing Secrets and nothing else": ([], _EXISTING),
}


def helm(command: str, files: Sequence[str], values: Values) -> subprocess.CompletedProcess[str]:
    """Run `template` or `lint` with these files of the chart and values."""
    assert HELM.exists(), "helm is not here; get it with: make tools-helm"
    release = [RELEASE] if command == "template" else []
    given = [word for file in files for word in ("--values", str(CHART / file))]
    line = [str(HELM), command, *release, str(CHART), *given, "--values", "-"]
    text = yaml.safe_dump(dict(values))
    return subprocess.run(line, input=text, capture_output=True, text=True, timeout=30, check=False)


def refused(files: Sequence[str], values: Values) -> str:
    """Return what helm says about values that it does not take, "" when it takes them."""
    done = helm("template", files, values)
    return done.stderr if done.returncode else ""


@cache
def _objects(name: str) -> list[Object]:
    done = helm("template", *SETS[name])
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if one]


def rendered(name: str) -> list[Object]:
    """Return the objects of one of the SETS, which the caller may change."""
    return deepcopy(_objects(name))


def of_kind(objects: Sequence[Object], *kinds: str) -> list[Object]:
    return [one for one in objects if one["kind"] in kinds]


def named(objects: Sequence[Object], kind: str, name: str) -> Object:
    [found] = [one for one in of_kind(objects, kind) if one["metadata"]["name"] == name]
    return found


def title(one: Object) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


def workloads(objects: Sequence[Object]) -> list[Object]:
    """Return everything that makes pods."""
    return of_kind(objects, "Deployment", "StatefulSet", "Job", "CronJob")


def template(workload: Object) -> Object:
    """Return the template of the pods of a workload."""
    spec = workload["spec"]["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else workload["spec"]
    found: Object = spec["template"]
    return found


def pods(objects: Sequence[Object]) -> Iterator[tuple[Object, Object, Object]]:
    """Yield each workload with its pod's specification and the only container of that."""
    for one in workloads(objects):
        spec = template(one)["spec"]
        [container] = spec["containers"]
        yield one, spec, container


def labels(workload: Object) -> Mapping[str, str]:
    found: Mapping[str, str] = template(workload)["metadata"]["labels"]
    return found


def deployments(objects: list[Object], service: str) -> list[Object]:
    return [one for one in of_kind(objects, "Deployment") if labels(one)["app.kubernetes.io/name"] == service]


def selects(selector: Mapping[str, str], workload: Object) -> bool:
    return selector.items() <= labels(workload).items()


def environment(objects: Sequence[Object], workload: Object) -> dict[str, str]:
    """Return the environment of a container, of chart-made ConfigMaps and Secrets as well."""
    [container] = template(workload)["spec"]["containers"]
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        [(kind, reference)] = source.items()
        wanted = {"configMapRef": "ConfigMap", "secretRef": "Secret"}[kind]
        for one in of_kind(objects, wanted):
            if one["metadata"]["name"] == reference["name"]:
                found |= one.get("data") or one["stringData"]
    return found | {one["name"]: one["value"] for one in container.get("env", [])}
