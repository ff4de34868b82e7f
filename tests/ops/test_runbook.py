"""The runbook names only metrics, rules and reasons that exist."""

import re
from importlib import import_module

from console.model.steps import GUIDES, Step
from fc.audit.rules import RULES
from fc.stack.layout import ROOT, SERVICES
from lint.markdown import anchors

TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+)`", TEXT)


def sources() -> str:
    """Return the text of all modules of chassis and services."""
    folders = [next(iter(import_module(name).__path__)) for name in ("chassis", *SERVICES)]
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def test_every_metric_that_an_alert_names_is_exported() -> None:
    named = set(re.findall(r"\b[a-z_]+_(?:total|pending|parked|lag|outdated)\b", TEXT)) - {"event_parked"}
    exported = set(re.findall(r'(?:Counter|Gauge|Histogram)\(\s*"([a-z_]+)"', sources()))
    assert len(named) > 10
    assert named <= exported


def test_every_step_of_fc_stuck_is_explained() -> None:
    assert {step.value for step in Step} <= set(CODE)


def test_every_step_has_a_section_of_this_page() -> None:
    assert GUIDES.keys() == set(Step)
    assert {guide.runbook for guide in GUIDES.values()} <= anchors(TEXT)


def test_every_rule_that_is_to_be_verified_exists() -> None:
    verified = [line for line in TEXT.splitlines() if "`fc audit`" in line and "finding of" in line]
    named = {name for line in verified for name in re.findall(r"`([a-z]+_[a-z_]+)`", line.partition("finding of")[2])}
    assert len(named) > 5
    assert named <= set(RULES)


def test_every_log_line_that_is_quoted_is_written_somewhere() -> None:
    text = sources()
    for line in (
        "event not published",
        "event parked",
        "message dead-lettered",
        "redis is down",
        "invoice not made yet",
        "dependency is away, the partition waits",
        "relay lost its database session",
        "audit entry refused",
    ):
        assert f"`{line}`" in TEXT, line
        assert f'"{line}"' in text, line
