"""The command: what it prints and with which exit code it ends."""

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner, Result

from fc.audit import cli
from fc.audit.rules import RULES
from fc.audit.rules.rule import Level
from fc.audit.run import run_audit
from fc.platform.errors import CouldNotCheck
from fc.platform.sources import Sources
from fc.stack.errors import StackError

from .conftest import new_sample
from .spoil import order, payment
from .world import World

APP = typer.Typer()
APP.command()(cli.audit)


@pytest.fixture
def fc(bare: World, monkeypatch: pytest.MonkeyPatch) -> "Command":
    """The command on the databases of the test."""
    monkeypatch.setattr(Sources, "here", lambda: bare.sources)
    monkeypatch.setattr(cli, "run_audit", partial(run_audit, gateway=lambda _: bare.xendit))
    return Command(bare)


class Command:
    """Runs `fc audit`."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(APP, list(arguments), env={"COLUMNS": "200"})

    def lines(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the objects that --json prints."""
        return [json.loads(line) for line in self("--json", *arguments).stdout.splitlines()]


@pytest.fixture
async def spoiled(fc: Command) -> int:
    """One sound and one spoiled order; gives the latter's id."""
    made = new_sample("paid")
    await fc.world.store([made, new_sample("expired")])
    await order("total_qty = 4")(fc.world, made)
    return made.order_id


def test_a_sound_platform_ends_with_0(fc: Command) -> None:
    done = fc()
    assert done.exit_code == 0
    assert "0 violations, 0 for attention, 0 in flight (0 orders" in done.stdout


def test_a_violation_is_shown_with_its_sentence_and_ends_with_1(fc: Command, spoiled: int) -> None:
    done = fc()
    assert done.exit_code == 1
    assert "order_quantity An order's number of pieces is the sum of its lines." in done.stdout
    assert f"order {spoiled}" in done.stdout
    assert "expected 3" in done.stdout
    assert "found 4" in done.stdout
    assert "since 2" in done.stdout
    assert "1 violations" in done.stdout
    assert "2 orders" in done.stdout


def test_a_run_leaves_its_metrics_in_a_file(fc: Command, spoiled: int, tmp_path: Path) -> None:
    file = tmp_path / "audit.prom"
    assert fc("--textfile", str(file), "--ignore", "order_total").exit_code == 1
    found = {family.name: family.samples for family in text_string_to_metric_families(file.read_text())}
    [last] = found["gocommerce_audit_last_run_timestamp_seconds"]
    assert abs(last.value - time.time()) < 60
    counts = {sample.labels["rule"]: sample.value for sample in found["gocommerce_audit_violations"]}
    assert {rule: count for rule, count in counts.items() if count} == {"order_quantity": 1}
    assert len(counts) > 30
    assert "order_total" not in counts
    assert set(counts) <= {code for code, rule in RULES.items() if rule.level is Level.VIOLATION}
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_can_not_be_written_is_said_and_ends_with_2(fc: Command, tmp_path: Path) -> None:
    done = fc("--textfile", str(tmp_path / "missing" / "audit.prom"))
    assert done.exit_code == 2
    assert "the metrics are not written" in done.stderr


def test_without_kafka_a_report_is_not_published_and_that_ends_with_2(fc: Command) -> None:
    done = fc("--publish")
    assert done.exit_code == 2
    assert "the report is not published" in done.stderr


@pytest.mark.parametrize("left_out", [("--skip", "xendit"), ("--ignore", "order_total")])
def test_a_run_that_leaves_something_out_by_hand_is_not_published(fc: Command, left_out: tuple[str, str]) -> None:
    done = fc("--publish", *left_out)
    assert done.exit_code == 2
    assert "the alerts need a run of all rules" in " ".join(done.output.replace("│", " ").split())


def test_json_is_one_object_per_finding_and_then_the_summary(fc: Command, spoiled: int) -> None:
    finding, last = fc.lines()
    assert (finding["rule"], finding["order_id"], finding["expected"], finding["found"]) == (
        "order_quantity",
        spoiled,
        "3",
        "4",
    )
    assert (
        last["summary"].items()
        >= {
            "orders": 2,
            "violations": 1,
            "by_rule": {"order_quantity": 1},
            "skipped": ["kafka", "mongo", "redis"],
            "exit_code": 1,
        }.items()
    )


def test_a_rule_that_is_ignored_is_not_checked(fc: Command, spoiled: int) -> None:
    assert fc("--ignore", "order_quantity").exit_code == 0


def test_an_unknown_rule_is_refused(fc: Command) -> None:
    done = fc("--ignore", "order_quality")
    assert done.exit_code == 2
    assert "order_quality" in done.output


def test_an_unknown_source_is_refused(fc: Command) -> None:
    assert fc("--skip", "vault").exit_code == 2


def test_a_source_can_be_left_out(fc: Command, spoiled: int) -> None:
    assert fc.lines("--skip", "xendit")[-1]["summary"]["skipped"] == ["kafka", "mongo", "redis", "xendit"]


def test_no_more_findings_of_a_rule_are_shown_than_wanted(fc: Command, many: list[int]) -> None:
    done = fc("--show", "2")
    assert done.stdout.count("found x-") == 2
    assert "and 3 more" in done.stdout


@pytest.fixture
async def many(fc: Command) -> list[int]:
    """Five orders that are spoiled alike."""
    made = [new_sample("paid") for _ in range(5)]
    await fc.world.store(made)
    for each in made:
        await payment("external_id = 'x-' || order_id")(fc.world, each)
    return [each.order_id for each in made]


def test_a_source_that_fails_on_the_way_ends_with_2(fc: Command, sound: int) -> None:
    fc.world.xendit.error = CouldNotCheck("[Xendit] is gone")
    done = fc()
    assert done.exit_code == 2
    assert "xendit could not be read: [Xendit] is gone" in done.stdout


@pytest.fixture
async def sound(fc: Command) -> int:
    """One sound order."""
    made = new_sample("paid")
    await fc.world.store([made])
    return made.order_id


@pytest.mark.parametrize("error", [CouldNotCheck("no database"), StackError("no stack")])
def test_without_databases_it_ends_with_2(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr(Sources, "here", fails)
    done = CliRunner().invoke(APP, [])
    assert done.exit_code == 2
    assert str(error) in done.output
    done = CliRunner().invoke(APP, ["--json"])
    assert json.loads(done.stdout) == {"summary": {"error": str(error), "exit_code": 2}}


def test_a_platform_that_does_not_rest_ends_with_2(fc: Command) -> None:
    assert fc("--quiesce", "1").exit_code == 2


def test_the_rules_are_listed_with_their_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    done = CliRunner().invoke(APP, ["--rules"], env={"COLUMNS": "300"})
    assert done.exit_code == 0
    for rule in RULES.values():
        assert rule.code in done.stdout
        assert rule.sentence in done.stdout
