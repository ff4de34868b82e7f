"""Reports of the auditor: how they are kept, read and shown."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from console.client.admin_api import NoAnswer
from console.model.audits import MAX_BYTES, MAX_OF_RULE, MAX_TEXT, AuditRun, record
from console.model.tiles import audit_tile

from .browser import Browser
from .looks import served

BEGAN = datetime(2026, 11, 28, 8, 0, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>"
SUMMARY: dict[str, Any] = {
    "orders": 1200,
    "rules": 63,
    "violations": 2,
    "attention": 1,
    "in_flight": 0,
    "by_rule": {"order_quantity": 2, "refund_due": 1},
    "unread": {},
    "skipped": ["mongo"],
    "seconds": 4.5,
    "exit_code": 1,
}


def finding(rule: str = "order_quantity", order_id: int | None = 42, **more: Any) -> dict[str, Any]:
    level = "attention" if rule == "refund_due" else "violation"
    return {
        "rule": rule,
        "level": level,
        "sentence": f"What {rule} says.",
        "order_id": order_id,
        "subject": f"order {order_id}",
        "expected": "3",
        "found": "4",
        "since": "2026-11-28T07:30:00Z",
        **more,
    }


FINDINGS = [finding(), finding(order_id=43), finding("refund_due", None)]


@dataclass
class Kept:
    """The topic, as the console reads it."""

    values: list[bytes] = field(default_factory=list)
    is_away: bool = False

    async def runs(self, max_age_s: float = 0.0) -> list[AuditRun]:
        if self.is_away:
            raise NoAnswer("KafkaConnectionError")
        found = [AuditRun.read(number, value) for number, value in enumerate(self.values)]
        return [run for run in found if run][::-1]

    async def run(self, number: int) -> AuditRun | None:
        runs = await self.runs()
        return next((run for run in runs if run.number == number), None)


@pytest.fixture
def kept(browser: Browser) -> Kept:
    browser.sign_in()
    topic = Kept([record(SUMMARY, FINDINGS, BEGAN, "operator")])
    served(browser, {})
    browser.app.state.audits = topic
    return topic


def test_a_run_is_read_as_it_was_written() -> None:
    run = AuditRun.read(7, record(SUMMARY, FINDINGS, BEGAN, "operator"))
    assert run is not None
    assert (run.number, run.began_at, run.by, run.summary, run.findings) == (7, BEGAN, "operator", SUMMARY, FINDINGS)
    assert (run.kind, run.verdict) == ("bad", "2 violations")
    assert [(rule.code, rule.count, len(rule.kept)) for rule in run.by_rule] == [
        ("order_quantity", 2, 2),
        ("refund_due", 1, 1),
    ]


def test_a_report_has_a_bound_and_says_how_many_there_were() -> None:
    many = [finding(order_id=number) for number in range(MAX_OF_RULE + 50)]
    summary = SUMMARY | {"by_rule": {"order_quantity": len(many)}}
    run = AuditRun.read(0, record(summary, many, BEGAN, "operator"))
    assert run is not None
    [rule] = run.by_rule
    assert (rule.count, len(rule.kept)) == (MAX_OF_RULE + 50, MAX_OF_RULE)


def test_findings_are_left_out_evenly_until_the_report_fits() -> None:
    rules = [f"rule_{number}" for number in range(60)]
    many = [finding(rule, found="é" * 5000) for rule in rules for _ in range(MAX_OF_RULE)]
    value = record(SUMMARY | {"by_rule": dict.fromkeys(rules, MAX_OF_RULE)}, many, BEGAN, "operator")
    assert len(value) <= MAX_BYTES
    run = AuditRun.read(0, value)
    assert run is not None
    kept = {len(rule.kept) for rule in run.by_rule}
    assert len(kept) == 1
    assert kept.pop() > 0
    assert {len(finding["found"]) for finding in run.findings} == {MAX_TEXT}


NOT_JSON = b"[" * 100_000


@pytest.mark.parametrize(
    "value", [None, b"", b"{}", b"[]", b"\xff", b'{"began_at": "x", "summary": {}}', b"3", NOT_JSON]
)
def test_what_is_no_report_is_passed_over(value: bytes | None) -> None:
    assert AuditRun.read(0, value) is None


NOT_SHOWN: list[dict[str, Any]] = [
    {"seconds": float("inf")},
    {"seconds": float("nan")},
    {"seconds": 1e300},
    {"seconds": -1e11},
    {"by_rule": []},
    {"by_rule": None},
    {"by_rule": {"x": "many"}},
    {"by_rule": {"x": 10**400}},
    {"violations": float("inf")},
    {"unread": ["kafka"]},
    {"skipped": 3},
]


@pytest.mark.parametrize("change", NOT_SHOWN)
async def test_a_report_with_values_that_nothing_can_show_is_passed_over(
    browser: Browser, kept: Kept, change: dict[str, Any]
) -> None:
    told = json.loads(record(SUMMARY, FINDINGS, BEGAN, "stranger"))
    kept.values.append(json.dumps({**told, "summary": SUMMARY | change}).encode())
    assert AuditRun.read(1, kept.values[-1]) is None
    assert "2 violations" in (await browser.get("/audits")).text


@pytest.mark.parametrize(
    "began_at", ["9999-12-31T23:59:59+00:00", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"]
)
def test_a_report_of_a_time_that_is_in_no_year_is_passed_over(began_at: str) -> None:
    told = json.loads(record(SUMMARY, FINDINGS, BEGAN, "stranger"))
    assert AuditRun.read(1, json.dumps({**told, "began_at": began_at}).encode()) is None


@pytest.mark.parametrize(
    ("change", "kind", "verdict"),
    [
        ({"violations": 1}, "bad", "1 violation"),
        ({"violations": 0, "attention": 3}, "warn", "3 for attention"),
        ({"violations": 0, "attention": 0, "unread": {"xendit": "gone"}}, "warn", "not everything could be read"),
        ({"violations": 0, "attention": 0}, "good", "all agree"),
    ],
)
def test_the_verdict_names_the_worst(change: dict[str, Any], kind: str, verdict: str) -> None:
    run = AuditRun.read(0, record(SUMMARY | change, [], BEGAN, "operator"))
    assert run is not None
    assert (run.kind, run.verdict) == (kind, verdict)


async def test_the_runs_are_listed_newest_first(browser: Browser, kept: Kept) -> None:
    kept.values += [b"no report", record(SUMMARY | {"violations": 0, "attention": 0}, [], BEGAN, "night")]
    answer = await browser.get("/audits")
    assert answer.status_code == 200
    assert answer.text.index('href="/audits/2"') < answer.text.index('href="/audits/0"')
    assert 'href="/audits/1"' not in answer.text
    for text in ("2 violations", "all agree", "night", "1,200"):
        assert text in answer.text


async def test_a_run_leads_to_the_orders_of_its_findings(browser: Browser, kept: Kept) -> None:
    answer = await browser.get("/audits/0")
    assert answer.status_code == 200
    for text in ('href="/orders/42"', 'href="/orders/43"', "What refund_due says.", "Left out on purpose: mongo"):
        assert text in answer.text
    assert answer.text.index("order_quantity") < answer.text.index("refund_due")


async def test_a_run_that_is_gone_is_404(browser: Browser, kept: Kept) -> None:
    assert (await browser.get("/audits/5")).status_code == 404
    assert (await browser.get("/audits/-1")).status_code == 400


async def test_without_kafka_the_pages_name_it(browser: Browser, kept: Kept) -> None:
    kept.is_away = True
    for path in ("/audits", "/audits/0", "/"):
        answer = await browser.get(path)
        assert answer.status_code == 200
        assert "kafka did not answer (KafkaConnectionError)" in answer.text, path


async def test_before_the_first_run_the_page_says_how_to_start_one(browser: Browser, kept: Kept) -> None:
    kept.values = []
    assert "fc audit --publish" in (await browser.get("/audits")).text
    assert "no run yet" in (await browser.get("/")).text


async def test_what_a_report_says_is_text(browser: Browser, kept: Kept) -> None:
    summary = SUMMARY | {"by_rule": {HOSTILE: 1}, "unread": {HOSTILE: HOSTILE}, "skipped": [HOSTILE]}
    hostile = finding(HOSTILE, subject=HOSTILE, expected=HOSTILE, found=HOSTILE)
    kept.values = [record(summary, [hostile], BEGAN, HOSTILE)]
    for path in ("/audits", "/audits/0", "/"):
        answer = await browser.get(path)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text, path


def test_the_tile_tells_of_the_last_run() -> None:
    runs = [run for run in [AuditRun.read(3, record(SUMMARY, FINDINGS, BEGAN, "x"))] if run]
    tile = audit_tile(runs, datetime(2026, 11, 28, 9, 0, 4, 500000, tzinfo=UTC))
    assert (tile.number, tile.kind, tile.text, tile.href) == ("2", "bad", "2 violations", "/audits/3")
    assert tile.notes == ["60 min ago, 1,200 orders"]
    assert audit_tile(None, BEGAN).text == "unknown"
    assert audit_tile([], BEGAN).text == "no run yet"


def test_a_record_is_json_of_one_line() -> None:
    assert json.loads(record(SUMMARY, FINDINGS, BEGAN, "x"))["by"] == "x"
