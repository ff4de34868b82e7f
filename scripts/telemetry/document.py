"""Makes docs/telemetry.yaml from the registries and the facts, and compares it with the file."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from fc.audit import textfile
from fc.audit.report import Report
from fc.stack.layout import CONSOLE, SERVICES
from telemetry import facts, registry
from telemetry.registry import Metric

ROOT = Path(__file__).resolve().parents[2]
PATH = Path("docs/telemetry.yaml")
# Among the services: it leaves its metrics in a file.
AUDIT = "fc audit"
_HEAD = """\
# All metrics of the services, made by `python -m telemetry write` from their registries (ADR 38).
#
# conventions   the version of OpenTelemetry's semantic conventions
# stability     of the convention that names the metric; `own` where there is none; `library` of prometheus_client
# labels        the values that a label can have, or where they come from; an empty value means that there is none
# buckets       the values of `le`, as they are shown
# services      those that show the metric
# unseen        why the stories of tests/telemetry/test_metrics.py do not show it in each of them
"""


def text() -> str:
    """Return the text of the file."""
    shown_by: dict[Metric, list[str]] = {}
    for service in SERVICES:
        for metric in registry.of_service(service):
            if service in facts.SHOWN_BY.get(metric.name, SERVICES):
                shown_by.setdefault(metric, []).append(service)
    for metric in registry.of_service(CONSOLE):
        if metric.name not in facts.NOT_OF_CONSOLE:
            shown_by.setdefault(metric, []).append(CONSOLE)
    for metric in registry.registered(textfile.registry(Report(), ())):
        shown_by.setdefault(metric, []).append(AUDIT)
    metrics = {metric.name: _entry(metric, services) for metric, services in sorted(shown_by.items())}
    content = {"conventions": facts.CONVENTIONS_VERSION, "metrics": metrics}
    return _HEAD + yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True, default_flow_style=None)


def _entry(metric: Metric, services: list[str]) -> dict[str, Any]:
    convention, stability = facts.CONVENTIONS.get(metric.name, (None, None))
    own = stability or ("own" if metric.name.startswith("gocommerce_") else "library")
    unit = next((unit for end, unit in facts.UNITS.items() if metric.name.endswith(end)), "1")
    entry = {
        "type": metric.type,
        "unit": unit,
        "help": metric.help,
        "convention": convention,
        "stability": own,
        "labels": {label: _values(metric.name, label) for label in metric.labels},
        "buckets": list(metric.buckets) or None,
        "services": services,
        "unseen": facts.UNSEEN.get(metric.name),
    }
    return {name: value for name, value in entry.items() if value is not None}


def _values(metric: str, label: str) -> list[str] | str:
    values = facts.LABELS.get(f"{metric}.{label}") or facts.LABELS.get(label)
    if values is None:
        raise LookupError(f"LABELS in scripts/telemetry/facts.py says nothing of the label {label} of {metric}")
    return values if isinstance(values, str) else list(values)


def differences(root: Path, expected: str) -> list[str]:
    """Return a unified diff, as lines, between the file below `root` and its expected text."""
    return list(_difference(root / PATH, expected))


def _difference(path: Path, expected: str) -> Iterator[str]:
    present = path.read_text("utf-8") if path.is_file() else ""
    yield from difflib.unified_diff(
        present.split("\n"), expected.split("\n"), f"{PATH} (file)", f"{PATH} (registries)", lineterm=""
    )
