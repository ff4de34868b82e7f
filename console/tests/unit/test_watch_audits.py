"""The newest report of the auditor as metrics."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from console.model.audits import MAX_RULES, record
from console.usecase.watch_audits import VIOLATIONS, AuditWatch
from fc.stack.layout import CONSOLE, ROOT

from .browser import Browser
from .test_audits import BEGAN, FINDINGS, HOSTILE, NOT_SHOWN, SUMMARY, Kept, finding

UNREAD = {"unread": {"kafka": "gone"}}
NOTHING = {"violations": 0, "by_rule": {}}


@pytest.fixture(autouse=True)
def _fresh() -> None:
    """As in a new process."""
    VIOLATIONS.clear()


def _last_run_s() -> float:
    return REGISTRY.get_sample_value("gocommerce_audit_last_run_timestamp_seconds") or 0.0


def _last_run() -> datetime:
    return datetime.fromtimestamp(_last_run_s(), UTC)


def _violations() -> dict[str, float]:
    [family] = [each for each in REGISTRY.collect() if each.name == "gocommerce_audit_violations"]
    return {sample.labels["rule"]: sample.value for sample in family.samples}


async def test_the_metrics_are_those_of_the_newest_run_and_forget_the_one_before() -> None:
    topic = Kept([record(SUMMARY, FINDINGS, BEGAN, "auditor")])
    watch = AuditWatch(topic)
    await watch.look()
    assert _last_run() == BEGAN + timedelta(seconds=4.5)
    assert _violations() == {"order_quantity": 2}
    later = BEGAN + timedelta(days=1)
    topic.values.append(record(SUMMARY | NOTHING, [], later, "auditor"))
    await watch.look()
    assert _last_run() == later + timedelta(seconds=4.5)
    assert _violations() == {}


async def test_without_a_run_the_time_is_that_since_which_the_console_looks() -> None:
    before = datetime.now(UTC)
    await AuditWatch(Kept()).look()
    assert before <= _last_run() <= datetime.now(UTC)
    assert _violations() == {}


async def test_before_kafka_has_answered_the_time_is_unknown_so_that_it_hides_none_of_another_replica() -> None:
    topic = Kept([record(SUMMARY, FINDINGS, BEGAN, "auditor")], is_away=True)
    watch = AuditWatch(topic)
    assert math.isnan(_last_run_s())
    await watch.look()
    assert math.isnan(_last_run_s())
    topic.is_away = False
    await watch.look()
    assert _last_run() == BEGAN + timedelta(seconds=4.5)


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_a_run_that_read_only_a_part_adds_what_it_found_and_resolves_nothing(is_restarted: bool) -> None:
    topic = Kept([record(SUMMARY, FINDINGS, BEGAN, "auditor")])
    watch = AuditWatch(topic)
    await watch.look()
    part = SUMMARY | UNREAD | {"violations": 3, "by_rule": {"order_total": 3}}
    topic.values.append(record(part, [finding("order_total")], BEGAN + timedelta(days=1), "auditor"))
    topic.values.append(record(SUMMARY | UNREAD | NOTHING, [], BEGAN + timedelta(days=2), "auditor"))
    if is_restarted:
        VIOLATIONS.clear()
        watch = AuditWatch(topic)
    await watch.look()
    assert _last_run() == BEGAN + timedelta(seconds=4.5)
    assert _violations() == {"order_quantity": 2, "order_total": 3}
    topic.values.append(record(SUMMARY | NOTHING, [], BEGAN + timedelta(days=3), "auditor"))
    await watch.look()
    assert _last_run() == BEGAN + timedelta(days=3, seconds=4.5)
    assert _violations() == {}


async def test_runs_of_a_topic_that_was_made_anew_are_shown() -> None:
    topic = Kept([record(SUMMARY, FINDINGS, BEGAN, "auditor")] * 3)
    watch = AuditWatch(topic)
    await watch.look()
    topic.values = [record(SUMMARY | NOTHING, [], BEGAN + timedelta(days=1), "auditor")]
    await watch.look()
    assert _violations() == {}


@pytest.mark.parametrize("change", [UNREAD | NOTHING | {"exit_code": 2}, None])
async def test_a_run_that_could_not_check_or_no_kafka_lets_the_last_run_grow_old(change: dict[str, Any] | None) -> None:
    topic = Kept([record(SUMMARY, FINDINGS, BEGAN, "auditor")])
    watch = AuditWatch(topic)
    await watch.look()
    topic.is_away = change is None
    topic.values.append(record(SUMMARY | (change or {}), [], BEGAN + timedelta(days=1), "auditor"))
    await watch.look()
    assert _last_run() == BEGAN + timedelta(seconds=4.5)
    assert _violations() == {"order_quantity": 2}


async def test_what_a_stranger_writes_to_the_topic_makes_few_series() -> None:
    names = [f"rule_{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(MAX_RULES + 50)]
    rules = {HOSTILE: 1, "x" * 5000: 1} | dict.fromkeys(names, 1)
    topic = Kept([record(SUMMARY | {"by_rule": rules}, [], BEGAN, "stranger")])
    await AuditWatch(topic).look()
    assert sorted(_violations()) == names[:MAX_RULES]
    others = SUMMARY | UNREAD | {"by_rule": {"another_rule": 1}}
    topic.values.append(record(others, [], BEGAN, "stranger"))
    await AuditWatch(topic).look()
    assert len(_violations()) == MAX_RULES


@pytest.mark.parametrize("change", NOT_SHOWN)
async def test_what_is_no_report_does_not_end_the_watch(change: dict[str, Any]) -> None:
    told = json.loads(record(SUMMARY, FINDINGS, BEGAN, "stranger"))
    broken = json.dumps({**told, "summary": SUMMARY | change}).encode()
    topic = Kept([record(SUMMARY, FINDINGS, BEGAN, "auditor"), broken])
    await AuditWatch(topic).look()
    assert _violations() == {"order_quantity": 2}


async def test_prometheus_gets_them_from_the_console_as_they_are_declared(browser: Browser) -> None:
    await AuditWatch(Kept([record(SUMMARY, FINDINGS, BEGAN, "auditor")])).look()
    text = (await browser.get("/metrics")).text
    shown = {family.name for family in text_string_to_metric_families(text) if family.samples}
    declared = yaml.safe_load((ROOT / "docs/telemetry.yaml").read_text("utf-8"))["metrics"]
    ours = {name for name, metric in declared.items() if CONSOLE in metric["services"] and "_audit_" in name}
    assert ours == {"gocommerce_audit_last_run_timestamp_seconds", "gocommerce_audit_violations"} <= shown
