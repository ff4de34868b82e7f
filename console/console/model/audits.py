"""Reports of `fc audit` as they are kept on the topic `operations.audits`: one record for each run, bounded in size."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

TOPIC = "operations.audits"
MAX_BYTES = 512 * 1024
MAX_OF_RULE = 100
MAX_TEXT = 300
# The auditor has fewer than 100 rules; who may write to the topic could name any number.
MAX_RULES = 100
RULE = re.compile(r"[a-z_]{1,60}")

Json = Mapping[str, Any]


def record(summary: Json, findings: Iterable[Json], began_at: datetime, by: str) -> bytes:
    """Return the value of a run's record. Of each rule it has MAX_OF_RULE findings at most, and fewer if it must."""
    by_rule: dict[str, list[Json]] = {}
    for finding in findings:
        of_rule = by_rule.setdefault(finding["rule"], [])
        if len(of_rule) < MAX_OF_RULE:
            of_rule.append({name: _cut(value) for name, value in finding.items()})
    left = max((len(each) for each in by_rule.values()), default=0)
    head = {"began_at": began_at.isoformat(), "by": _cut(by), "summary": {**summary, "unread": _texts(summary)}}
    while True:
        kept = [finding for of_rule in by_rule.values() for finding in islice(of_rule, left)]
        value = json.dumps({**head, "findings": kept}, ensure_ascii=False).encode()
        if len(value) <= MAX_BYTES or not left:
            return value
        left //= 2


def _texts(summary: Json) -> dict[str, str]:
    return {name: _cut(text) for name, text in summary.get("unread", {}).items()}


def _cut(value: Any) -> Any:
    return f"{value[: MAX_TEXT - 1]}…" if isinstance(value, str) and len(value) > MAX_TEXT else value


def _is_summary(summary: Any) -> bool:
    """Say whether its values are such as pages and metrics show. Raises KeyError, TypeError, and OverflowError."""
    counts = [summary[name] for name in ("orders", "rules", "violations", "attention", "in_flight", "seconds")]
    by_rule, unread, skipped = summary.get("by_rule", {}), summary.get("unread", {}), summary.get("skipped", [])
    if not (isinstance(by_rule, dict) and isinstance(unread, dict) and isinstance(skipped, list)):
        return False
    counts += by_rule.values()
    return all(isinstance(each, int | float) and math.isfinite(each) for each in counts)


@dataclass(frozen=True, slots=True)
class RuleFindings:
    """The findings of one rule: how many there were, and those that are kept."""

    code: str
    level: str
    sentence: str
    count: int
    kept: Sequence[Json]

    @property
    def kind(self) -> str:
        return "bad" if self.level == "violation" else "warn"


@dataclass(frozen=True, slots=True)
class AuditRun:
    """One run; `number` is its place on the topic."""

    number: int
    began_at: datetime
    by: str
    summary: Json
    findings: Sequence[Json]

    @classmethod
    def read(cls, number: int, value: bytes | None) -> "AuditRun | None":
        """Read a record; None for one that is no report, so that it hides no other."""
        try:
            told = json.loads(value or b"")
            began_at, summary = datetime.fromisoformat(told["began_at"]), told["summary"]
            if began_at.tzinfo is None or not _is_summary(summary):
                return None
            findings = [dict(each) for each in told["findings"]]
            run = cls(number, began_at.astimezone(UTC), str(told["by"]), summary, findings)
            # Raises OverflowError when the run would have ended in no year.
            return run if run.ended_at else None
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None

    @property
    def ended_at(self) -> datetime:
        return self.began_at + timedelta(seconds=self.summary["seconds"])

    @property
    def is_whole(self) -> bool:
        """Whether it read all that it should; else rules were left out, which may be broken all the same."""
        return not self.summary.get("unread")

    @property
    def kind(self) -> str:
        """The kind of its badge."""
        if self.summary["violations"]:
            return "bad"
        return "warn" if self.summary["attention"] or self.summary.get("unread") else "good"

    @property
    def verdict(self) -> str:
        violations, attention = self.summary["violations"], self.summary["attention"]
        if violations:
            return f"{violations:,} violation{'s' if violations != 1 else ''}"
        if self.summary.get("unread"):
            return "not everything could be read"
        return f"{attention:,} for attention" if attention else "all agree"

    @property
    def by_rule(self) -> Sequence[RuleFindings]:
        """The findings by rule, violations first."""
        kept: dict[str, list[Json]] = {}
        for finding in self.findings:
            kept.setdefault(str(finding.get("rule")), []).append(finding)
        counts: Json = self.summary.get("by_rule", {})
        found = [
            RuleFindings(
                code,
                str(kept[code][0].get("level")) if code in kept else "violation",
                str(kept[code][0].get("sentence")) if code in kept else "",
                count,
                kept.get(code, ()),
            )
            for code, count in counts.items()
        ]
        return sorted(found, key=lambda each: (each.level != "violation", each.code))

    @property
    def violations_by_rule(self) -> Mapping[str, int]:
        """The number of violations of each rule that is broken: of MAX_RULES rules at most, by name."""
        found = {
            each.code: each.count for each in self.by_rule if each.level == "violation" and RULE.fullmatch(each.code)
        }
        return {code: found[code] for code in sorted(found)[:MAX_RULES]}
