"""Compares a CycloneDX document of a service with the lock that its image is installed from."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

SPEC = "1.6"
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")

# The SHA-256 of its files by name and version: one distribution may be locked at two versions, by a marker.
Contents = dict[tuple[str, str], frozenset[str]]


def locked(lock: Path) -> Contents:
    """Read a hashed requirements file."""
    text = lock.read_text("utf-8").replace("\\\n", " ")
    return {_of(line): frozenset(_HASH.findall(line)) for line in text.splitlines() if "==" in line}


def _of(line: str) -> tuple[str, str]:
    name, _, rest = line.partition("==")
    return canonicalize_name(name.partition("[")[0]), rest.split()[0]


def listed(document: Mapping[str, Any]) -> Contents:
    """Read the components of a document."""
    return {
        (canonicalize_name(part["name"]), part.get("version", "")): frozenset(_hashes(part))
        for part in document.get("components", ())
    }


def _hashes(component: Mapping[str, Any]) -> Iterator[str]:
    for reference in component.get("externalReferences", ()):
        yield from (one["content"] for one in reference.get("hashes", ()) if one["alg"] == "SHA-256")


def differences(document: Mapping[str, Any], service: str, version: str, lock: Contents) -> list[str]:
    """Return a line for each way in which a document does not describe what the lock installs."""
    root = document.get("metadata", {}).get("component", {})
    form = (document.get("bomFormat"), document.get("specVersion"))
    lines = [] if form == ("CycloneDX", SPEC) else [f"it is no CycloneDX {SPEC} document"]
    if (root.get("name"), root.get("version")) != (service, version):
        lines.append(f"it describes {root.get('name')} {root.get('version')}, expected {service} {version}")
    components = listed(document)
    lines += [f"{' '.join(one)} is missing" for one in sorted(lock.keys() - components.keys())]
    lines += [f"{' '.join(one)} is not in the lock" for one in sorted(components.keys() - lock.keys())]
    common = sorted(lock.keys() & components.keys())
    return lines + [f"{' '.join(one)} has other hashes" for one in common if lock[one] != components[one]]
