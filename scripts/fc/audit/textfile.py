"""The outcome of an audit as a file for node-exporter's textfile collector."""

from collections.abc import Collection
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from fc.audit.report import Report
from fc.audit.rules.rule import RULES, Level
from fc.platform.errors import CouldNotCheck


def write(path: Path, report: Report, ignored: Collection[str]) -> None:
    """Write the metrics of a run in place of the last one's. Raises CouldNotCheck when that is not possible."""
    try:
        write_to_textfile(str(path), registry(report, ignored))
    except OSError as error:
        raise CouldNotCheck(f"the metrics are not written: {error}") from error


def registry(report: Report, ignored: Collection[str]) -> CollectorRegistry:
    """Return the metrics of a run, without the rules that it has not checked."""
    left_out = {*report.unread, *report.skipped}
    result = CollectorRegistry()
    Gauge(
        "gocommerce_audit_last_run_timestamp_seconds",
        "When an audit has last ended; without one, since when the console looks for one",
        registry=result,
    ).set_to_current_time()
    violations = Gauge(
        "gocommerce_audit_violations", "Violations that the last audit has found", ["rule"], registry=result
    )
    for rule in RULES.values():
        if rule.level is Level.VIOLATION and rule.code not in ignored and not left_out & set(rule.needs):
            violations.labels(rule.code).set(report.counts[rule.code])
    return result
