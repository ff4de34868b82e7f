"""Checks objects against the schemas of Kubernetes, in which a field that does not exist is refused.

The schemas are read from the package kubernetes-validate, which has 17,000 files and is not installed for them.
"""

import json
import re
import sys
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.helm.render import Object, title

PACKAGE = Path(sys.prefix) / "helm/kubernetes_validate.whl"
# The oldest that the chart allows, and the newest that the package knows.
VERSIONS = ("1.30", "1.37")
# The Prometheus operator's own; the tests of policies and of rules look at them.
CUSTOM = ("PodMonitor", "PrometheusRule")


@cache
def _package() -> zipfile.ZipFile:
    return zipfile.ZipFile(PACKAGE)


@cache
def _content(version: str, name: str) -> Any:
    folder = f"kubernetes_validate/kubernetes-json-schema/v{version}.0-local-strict"
    return json.loads(_package().read(f"{folder}/{name}.json"))


@cache
def _validator(version: str, kind: str, api: str) -> Draft202012Validator:
    # networking.k8s.io/v1 is networking-v1 there.
    group = re.sub(r"^([^./]*)(?:[.][^/]*)?/", r"\1-", api)
    return Draft202012Validator(_content(version, f"{kind.lower()}-{group}"), registry=_definitions(version))


@cache
def _definitions(version: str) -> Registry[Any]:
    registry: Registry[Any] = Resource.from_contents(_content(version, "_definitions")) @ Registry()
    # Once for all kinds: it has 1.8 MB.
    return registry.crawl()


def invalid(objects: Sequence[Object], version: str) -> list[str]:
    """Return a line for each object that this version of Kubernetes would refuse."""
    found = []
    for one in objects:
        if one["kind"] not in CUSTOM:
            for error in _validator(version, one["kind"], one["apiVersion"]).iter_errors(one):
                place = ".".join(str(part) for part in error.path)
                found.append(f"{title(one)}: {place}: {error.message}")
    return found
