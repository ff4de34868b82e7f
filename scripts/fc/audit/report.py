"""The result of an audit: each finding with its rule, order, both values and age, and the totals."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fc.audit.rules.rule import RULES, Level

# Counts are exact; only this many findings are kept in memory.
MAX_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault. `subject` names its object; `order_id` is None for an object that belongs to no order."""

    rule: str
    order_id: int | None
    subject: str
    expected: str
    found: str
    since: datetime | None

    @property
    def level(self) -> Level:
        return RULES[self.rule].level

    def as_json(self) -> dict[str, Any]:
        """Return the finding as JSON values; `since` in RFC 3339."""
        return {
            "rule": self.rule,
            "level": str(self.level),
            "sentence": RULES[self.rule].sentence,
            "order_id": self.order_id,
            "subject": self.subject,
            "expected": self.expected,
            "found": self.found,
            "since": self.since.isoformat().replace("+00:00", "Z") if self.since else None,
        }


@dataclass(slots=True)
class Report:
    """The result. `rules` counts the rules checked; `unread` maps a source that could not be read to the reason."""

    orders: int = 0
    rules: int = 0
    seconds: float = 0.0
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)
    unread: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    on_finding: Callable[[Finding], None] | None = None

    def add(self, finding: Finding) -> None:
        self.counts[finding.rule] += 1
        if len(self.findings) < MAX_KEPT:
            self.findings.append(finding)
        if self.on_finding:
            self.on_finding(finding)

    def _total(self, level: Level) -> int:
        return sum(count for code, count in self.counts.items() if RULES[code].level is level)

    @property
    def violations(self) -> int:
        """The number of faults that are wrong."""
        return self._total(Level.VIOLATION)

    @property
    def attention(self) -> int:
        """The number of faults that an operator should see."""
        return self._total(Level.ATTENTION)

    @property
    def exit_code(self) -> int:
        """1 with a violation, else 2 when a source could not be read, else 0."""
        return 1 if self.violations else 2 if self.unread else 0

    def summary(self) -> dict[str, Any]:
        return {
            "orders": self.orders,
            "rules": self.rules,
            "violations": self.violations,
            "attention": self.attention,
            "in_flight": self.in_flight.total(),
            "by_rule": dict(sorted(self.counts.items())),
            "in_flight_by_rule": dict(sorted(self.in_flight.items())),
            "unread": self.unread,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 2),
            "exit_code": self.exit_code,
        }
