"""The auditor's program around an audit: its exit code when something goes wrong, and which settings the audit gets."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis import logging
from fc.audit import __main__ as program
from fc.audit import cli
from fc.audit.patience import Limits
from fc.audit.reading import mongo
from fc.audit.reading.spill import Spill
from fc.audit.report import Finding, Report
from fc.audit.rules.rule import Context
from fc.audit.watch import Unwatched
from fc.platform.errors import CouldNotCheck
from fc.platform.stores import Stores
from fc.stack.errors import StackError

NOW = datetime(2026, 11, 28, tzinfo=UTC)


class Audits:
    """Stands for the audit: it ends with `result`, or raises it; `limits` are those of the last one."""

    def __init__(self) -> None:
        self.result: Report | Exception = Report()
        self.limits = Limits()
        self.unpublished: Exception | None = None

    async def run(self, stores: Stores, *, limits: Limits, **_options: Any) -> Report:
        self.limits = limits
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    async def publish(self, stores: Stores, report: Report) -> None:
        if self.unpublished:
            raise self.unpublished


@pytest.fixture
def audits(monkeypatch: pytest.MonkeyPatch) -> Audits:
    """The program with another audit, in development and without a log of its own."""
    made = Audits()
    monkeypatch.setenv("ENVIRONMENT", "development")
    monkeypatch.setattr(program, "run_audit", made.run)
    monkeypatch.setattr(program, "publish", made.publish)
    monkeypatch.setattr(logging, "setup", lambda *_: None)
    return made


def summary(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the last line that was printed."""
    last = capsys.readouterr().out.splitlines()[-1]
    return dict(json.loads(last)["summary"])


def test_only_violations_end_with_1(audits: Audits, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main() == 0
    assert isinstance(audits.result, Report)
    audits.result.add(Finding("order_quantity", 1, "order 1", "3", "4", NOW))
    assert program.main() == 1
    assert summary(capsys)["violations"] == 1


@pytest.mark.parametrize("error", [ValueError("a secret"), KeyError("a secret"), AssertionError("a secret")])
def test_an_unexpected_error_ends_with_2_and_a_line_that_quotes_nothing(
    audits: Audits, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    audits.result = error
    assert program.main() == 2
    assert summary(capsys) == {"error": f"{type(error).__name__}, see the log", "exit_code": 2}


@pytest.mark.parametrize("error", [CouldNotCheck("the report is not published: no answer"), RuntimeError("lost")])
def test_a_report_that_is_not_published_ends_with_2(
    audits: Audits, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    audits.unpublished = error
    assert program.main() == 2
    assert summary(capsys)["exit_code"] == 2


def test_a_setting_that_is_refused_ends_with_2(
    audits: Audits, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOX_KEEP_DAYS", "a week")
    assert program.main() == 2
    assert summary(capsys)["error"].startswith("auditor: setting OUTBOX_KEEP_DAYS: should be")


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://audit:hid%zzden@127.0.0.1",
        "mongodb://audit:hidden/more@127.0.0.1",
        "mongodb://127.0.0.1/?tls=true&tlsCAFile=/nowhere/hidden.pem",
    ],
)
async def test_an_address_of_mongodb_that_the_driver_refuses_is_a_source_that_is_not_read(uri: str) -> None:
    with pytest.raises(CouldNotCheck) as refused:
        await mongo.read(uri, Spill(), Unwatched())
    assert str(refused.value) == "MongoDB: its address can't be used"


def test_the_program_expects_in_outboxes_what_its_settings_say(audits: Audits, monkeypatch: pytest.MonkeyPatch) -> None:
    program.main()
    assert audits.limits.outbox_days == 7
    monkeypatch.setenv("OUTBOX_KEEP_DAYS", "3")
    program.main()
    assert audits.limits.outbox_days == 3


def test_the_command_expects_in_outboxes_what_the_stack_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, str] = {}
    monkeypatch.setattr(cli, "developer_settings", lambda: given)
    assert cli._outbox_days() == 7
    given["OUTBOX_KEEP_DAYS"] = "3"
    assert cli._outbox_days() == 3
    given["OUTBOX_KEEP_DAYS"] = "a week"
    with pytest.raises(StackError, match="OUTBOX_KEEP_DAYS should be a number of days"):
        cli._outbox_days()


def test_an_event_older_than_the_outbox_keeps_may_be_missing() -> None:
    context = Context(NOW, timedelta(minutes=5), timedelta(days=3))
    assert context.still_in_outbox(NOW - timedelta(days=2, hours=23))
    assert not context.still_in_outbox(NOW - timedelta(days=3, seconds=1))
