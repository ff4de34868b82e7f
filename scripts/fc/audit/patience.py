"""Decides for each fault whether it is reported, or counted as in flight because it may go away by itself."""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from chassis.config.connections import DatabaseSettings
from fc.audit.report import Finding, Report
from fc.audit.rules.rule import Fault, Patience, Rule


@dataclass(frozen=True)
class Limits:
    """How long, in seconds, a temporary state may last before it is reported, and what outboxes keep.

    `grace_s`: a message is in flight, or the databases were read at slightly different moments. `webhook_s`: a callback
    of Xendit was lost and the check of open invoices has yet to find the payment. `stuck_s`: due work, an event to be
    published, or a message to be consumed waits. `outbox_days`: an event that is older may be in no outbox any more.
    """

    grace_s: float = 30.0
    webhook_s: float = 180.0
    stuck_s: float = 300.0
    outbox_days: int = DatabaseSettings.model_fields["outbox_keep_days"].default


class Judge:
    """Reports the faults of the rules that apply; `read` holds the optional sources that are read."""

    def __init__(self, report: Report, limits: Limits, ignored: Set[str], read: Set[str]) -> None:
        self._report = report
        self._seconds = {Patience.MESSAGES: limits.grace_s, Patience.WEBHOOK: limits.webhook_s, Patience.NONE: 0.0}
        self._ignored = ignored
        self._read = read

    def rested(self) -> None:
        """Give messages no more grace: the platform has come to rest, so that none is in flight."""
        self._seconds[Patience.MESSAGES] = 0.0

    def applies(self, rule: Rule) -> bool:
        """Whether a rule is checked: it is not ignored and its sources are read."""
        return rule.needs <= self._read and rule.code not in self._ignored

    def take(
        self, rule: Rule, fault: Fault, now: datetime, order_id: int | None, *, order_in_flight: bool = False
    ) -> None:
        """Report a fault, or count it as in flight. `order_in_flight`: the order has messages that are not applied."""
        if not self.applies(rule):
            return
        patience = timedelta(seconds=self._seconds[rule.patience])
        young = bool(patience) and fault.since is not None and now - fault.since < patience
        in_flight = rule.patience is Patience.MESSAGES and fault.excusable and order_in_flight
        if young or in_flight:
            self._report.in_flight[rule.code] += 1
            return
        subject = fault.subject or f"order {order_id}"
        self._report.add(Finding(rule.code, order_id, subject, str(fault.expected), str(fault.found), fault.since))
