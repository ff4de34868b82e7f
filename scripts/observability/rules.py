"""Reads the alerts of deploy/observability/rules."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path("deploy/observability/rules")


@dataclass(frozen=True)
class Alert:
    """One alerting rule, and the file it is written in."""

    name: str
    file: str
    expr: str
    duration: str
    labels: dict[str, str]
    annotations: dict[str, str]


def files(root: Path = ROOT) -> list[Path]:
    return sorted((root / FOLDER).glob("*.rules.yml"))


def alerts(root: Path = ROOT) -> list[Alert]:
    """Return all alerts, in the order in which the files have them."""
    return [alert for file in files(root) for alert in read(file)]


def read(file: Path) -> Iterator[Alert]:
    for rule in _rules(file):
        if "alert" in rule:
            yield Alert(
                rule["alert"], file.name, rule["expr"], rule.get("for", ""), rule["labels"], rule["annotations"]
            )


def recorded(root: Path = ROOT) -> dict[str, str]:
    """Return the name and the expression of each recording rule; of several with one name the last."""
    return {rule["record"]: rule["expr"] for file in files(root) for rule in _rules(file) if "record" in rule}


def expressions(root: Path = ROOT) -> list[tuple[str, str]]:
    """Return the name and the expression of every rule."""
    return [(rule.get("alert") or rule["record"], rule["expr"]) for file in files(root) for rule in _rules(file)]


def _rules(file: Path) -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
        yield from group["rules"]
