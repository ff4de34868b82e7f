"""Each alert fires when it should, just does not when it should not, and says what to do. promtool runs the tests."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from lint.markdown import anchors
from observability.rules import FOLDER, ROOT, Alert, alerts
from servers.prometheus import program

RULES = ROOT / FOLDER
TESTS = sorted(RULES.glob("*.test.yml"))
ALERTS = alerts()
# A comparison with a number; label matchers compare with text.
THRESHOLD = re.compile(r"(?P<operator>==|>=|<=|>|<) (?P<number>\d+(?:\.\d+)?)")

Document = dict[str, Any]


def promtool(*command: str | Path) -> subprocess.CompletedProcess[str]:
    line = [str(program("promtool")), *map(str, command)]
    # Failures are on the other stream, and belong behind the name of their file.
    return subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120)


@cache
def load(path: Path) -> Document:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_promtool_accepts_the_rules() -> None:
    done = promtool("check", "rules", *RULES.glob("*.rules.yml"))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_every_alert_fires_when_it_should(path: Path) -> None:
    done = promtool("test", "rules", path)
    assert done.returncode == 0, done.stdout


def cases(alert: str) -> Iterator[tuple[Path, Document]]:
    """Yield the tests of an alert, each with the file that it is in."""
    for path in TESTS:
        for test in load(path)["tests"]:
            if any(one["alertname"] == alert for one in test.get("alert_rule_test", [])):
                yield path, test


def test_names_are_unique() -> None:
    assert len({alert.name for alert in ALERTS}) == len(ALERTS) > 30


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_is_tested_both_ways_and_says_how_urgent_it_is_and_what_to_do(alert: Alert) -> None:
    outcomes = [bool(one["exp_alerts"]) for _, test in cases(alert.name) for one in test["alert_rule_test"]]
    assert True in outcomes
    assert False in outcomes
    assert alert.labels["severity"] in ("page", "ticket")
    assert alert.duration
    assert alert.annotations.keys() == {"summary", "description", "runbook_url", "console_url"}
    page, _, anchor = alert.annotations["runbook_url"].partition("#")
    assert anchor in anchors((ROOT / page).read_text(encoding="utf-8"))
    assert alert.annotations["console_url"].startswith("/")


def mutants(alert: Alert) -> Iterator[tuple[str, Document]]:
    """Yield the rule of an alert with one threshold or the duration changed, and a word that says which."""
    [original] = [
        rule
        for group in load(RULES / alert.file)["groups"]
        for rule in group["rules"]
        if rule.get("alert") == alert.name
    ]
    yield "nothing", original
    for place in THRESHOLD.finditer(alert.expr):
        number = float(place["number"])
        for changed in (number * 1.25, number * 0.75) if number else (1, -50):
            text = f"{alert.expr[: place.start('number')]}{changed:g}{alert.expr[place.end('number') :]}"
            yield f"{place[0]} -> {changed:g}", original | {"expr": text}
    if alert.duration == "0s":
        yield "for 1h", original | {"for": "1h"}
    else:
        longer = f"{int(alert.duration[:-1]) * 5}{alert.duration[-1]}"
        yield f"for {longer}", original | {"for": longer}
        yield "for 0s", original | {"for": "0s"}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], bool]:
    """Whether the tests of an alert fail, for each of its mutants: one run of promtool for all of them."""
    folder = tmp_path_factory.mktemp("mutants")
    runs: dict[str, tuple[str, str]] = {}
    for alert in ALERTS:
        tests = files_of(alert)
        for number, (what, rule) in enumerate(mutants(alert)):
            rules = f"{alert.name}-{number}.rules.yml"
            # JSON is YAML, too, and is written in a tenth of the time.
            (folder / rules).write_text(json.dumps({"groups": [{"name": "mutant", "rules": [rule]}]}), encoding="utf-8")
            for name, document in tests.items():
                run = folder / f"{alert.name}-{number}-{name}"
                run.write_text(json.dumps(document | {"rule_files": [rules]}), encoding="utf-8")
                runs[str(run)] = (alert.name, what)
    done = promtool("test", "rules", *runs)
    failed = dict.fromkeys(runs.values(), False)
    for run, outcome in re.findall(r"Unit Testing:  (\S+)\s+(\S+)", done.stdout):
        failed[runs[run]] |= outcome != "SUCCESS"
    return failed


def files_of(alert: Alert) -> dict[str, Document]:
    """Return the files with the tests of an alert, without those of others; each keeps its interval."""
    files: dict[str, Document] = {}
    for path, test in cases(alert.name):
        files.setdefault(path.name, load(path) | {"tests": []})["tests"].append(test)
    return files


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_the_tests_notice_each_changed_threshold(alert: Alert, seen: dict[tuple[str, str], bool]) -> None:
    outcomes = {what: failed for (name, what), failed in seen.items() if name == alert.name}
    assert len(outcomes) >= 4
    assert [what for what, failed in outcomes.items() if not failed] == ["nothing"]


def test_a_rule_that_promtool_refuses_is_noticed(tmp_path: Path) -> None:
    shutil.copy(RULES / "kafka.rules.yml", tmp_path)
    broken = (tmp_path / "kafka.rules.yml").read_text().replace("max by (job)", "max by job", 1)
    (tmp_path / "kafka.rules.yml").write_text(broken)
    assert "parse error" in promtool("check", "rules", tmp_path / "kafka.rules.yml").stdout
