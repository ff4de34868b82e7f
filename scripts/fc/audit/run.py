"""Runs an audit: rest if asked to, then one snapshot of everything, every rule on every order, and the topics."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import asyncpg

from fc.audit.model import AuditEntry, Dossier, Mark
from fc.audit.quiesce import quiesce
from fc.audit.reading import mongo
from fc.audit.reading.broker import Broker, Scan
from fc.audit.reading.enrich import Enricher
from fc.audit.reading.merge import Stream, batched, in_batches, streams_of
from fc.audit.reading.messages import message_faults
from fc.audit.reading.queries import COUNT_ORDERS
from fc.audit.reading.spill import Spill
from fc.audit.report import Finding, Report
from fc.audit.rules import RULES
from fc.audit.rules.rule import KAFKA, MONGO, XENDIT, Context, Fault, Patience, Rule
from fc.audit.watch import Unwatched, Watch
from fc.platform.errors import CouldNotCheck
from fc.platform.snapshot import Snapshot, connected
from fc.platform.sources import Sources

BATCH = 500

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """How long, in seconds, something may be as it should not stay.

    `grace_s`: a message may be on its way, or the databases were read at slightly different moments. `webhook_s`: a
    callback of Xendit was lost, and the check of open invoices will find out. `stuck_s`: work that is due, an event
    that waits, a message that nobody consumes.
    """

    grace_s: float = 30.0
    webhook_s: float = 180.0
    stuck_s: float = 300.0


async def run_audit(
    sources: Sources, *, quiesce_s: float | None = None, limits: Limits | None = None, ignore: Collection[str] = (),
    watch: Watch | None = None, on_finding: Callable[[Finding], None] | None = None,
) -> Report:  # fmt: skip
    """Check all rules but those to `ignore`, and give the report; nothing is changed anywhere.

    With `quiesce_s` it first waits so long for the platform to rest, and then gives messages no grace. Kafka, MongoDB
    and Xendit may be missing or fail: the rules that need them are left out then. Raises CouldNotCheck when a database
    can't be read, or the platform does not rest.
    """
    began = time.monotonic()
    report = Report(on_finding=on_finding)
    audit = _Audit(sources, limits or Limits(), set(ignore), watch or Unwatched(), report)
    try:
        if quiesce_s is not None:
            await audit.rest(quiesce_s)
        await audit.run()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise CouldNotCheck(f"a database stopped answering: {error}") from error
    finally:
        if sources.xendit:
            await sources.xendit.close()
    report.seconds = time.monotonic() - began
    return report


class _Audit:
    def __init__(self, sources: Sources, limits: Limits, ignore: set[str], watch: Watch, report: Report) -> None:
        self._sources = sources
        self._limits = limits
        self._grace_s = limits.grace_s
        self._ignore = ignore
        self._watch = watch
        self._report = report
        self._read = {
            name for name in (KAFKA, MONGO, XENDIT) if getattr(sources, name) is not None
        }  # fmt: skip
        report.skipped = sorted({KAFKA, MONGO, XENDIT} - self._read)

    async def rest(self, limit_s: float) -> None:
        """Wait until the platform rests."""
        if self._sources.kafka is None:
            raise CouldNotCheck("whether the platform rests can't be told without Kafka")
        async with AsyncExitStack() as stack, Broker.opened(self._sources.kafka) as broker:
            databases = {
                service: await stack.enter_async_context(connected(service, address))
                for service, address in self._sources.databases.items()
            }
            await quiesce(databases, broker, limit_s, self._watch)
        self._grace_s = 0.0

    async def run(self) -> None:
        """Read everything and check every rule.

        The order of reading matters: what a group had consumed is known before its inbox is read, and a topic is read
        to its end after the outbox that it must hold.
        """
        async with AsyncExitStack() as stack:
            spill = stack.enter_context(closing(Spill()))
            address = self._sources.kafka or ""
            broker = await self._try(KAFKA, lambda: stack.enter_async_context(Broker.opened(address)))
            committed = await self._try(KAFKA, broker.committed) if broker else None
            snapshot = await stack.enter_async_context(Snapshot.taken(self._sources.databases))
            context = Context(snapshot.now, timedelta(seconds=self._limits.stuck_s), committed=committed or {})
            scan = Scan()
            if broker:
                scan = await self._try(KAFKA, lambda: broker.scan(spill, context.committed, self._watch)) or scan
            await self._try(XENDIT, self._prepare_xendit)
            await self._try(MONGO, lambda: mongo.read(self._sources.mongo or "", spill, self._watch))
            context.read, context.kept_since = frozenset(self._read), scan.kept_since
            await self._check_statements(snapshot, context)
            await self._check_orders(snapshot, spill, context)
            await self._check_messages(snapshot, spill, scan, context)
        self._report.rules = sum(self._applies(rule) for rule in RULES.values())

    async def _check_messages(self, snapshot: Snapshot, spill: Spill, scan: Scan, context: Context) -> None:
        if KAFKA in self._read:
            self._watch.stage("comparing topics with outboxes")
            async with self._fresh() as databases:
                async for code, fault, order_id in message_faults(spill, scan, context, snapshot, databases):
                    self._take(RULES[code], fault, context, order_id)

    @asynccontextmanager
    async def _fresh(self) -> AsyncIterator[dict[str, asyncpg.Connection]]:
        """Open sessions that see what was committed after the snapshot, as a topic's end does."""
        async with AsyncExitStack() as stack:
            yield {
                service: await stack.enter_async_context(connected(service, address))
                for service, address in self._sources.databases.items()
            }

    async def _try(self, source: str, read: Callable[[], Awaitable[T]]) -> T | None:
        """Read an optional source; when it fails, its rules are left out and the report says why."""
        if source not in self._read:
            return None
        try:
            return await read()
        except CouldNotCheck as error:
            self._read.discard(source)
            self._report.unread[source] = str(error)
            return None

    async def _prepare_xendit(self) -> None:
        if self._sources.xendit:
            await self._sources.xendit.prepare(self._watch)

    async def _check_statements(self, snapshot: Snapshot, context: Context) -> None:
        for rule in RULES.values():
            for service, sql in rule.sql.items() if self._applies(rule) else ():
                values = [context.stuck] if "$1" in sql else []
                async for rows in snapshot.batches(service, sql, *values):
                    for subject, order_id, expected, found, since in rows:
                        self._take(rule, Fault(expected, found, since, subject), context, order_id)

    async def _check_orders(self, snapshot: Snapshot, spill: Spill, context: Context) -> None:
        streams = streams_of(snapshot)
        if MONGO in self._read:
            streams.append(Stream("audit", in_batches(spill.documents()), AuditEntry))
        if XENDIT in self._read and self._sources.xendit:
            streams.append(Stream("marks", in_batches(self._sources.xendit.invoiced()), Mark))
        enricher = Enricher(snapshot, spill, context)
        self._watch.stage("checking orders", await snapshot.count("orderfc", COUNT_ORDERS))
        async for batch in batched(streams, BATCH):
            await enricher.enrich(batch)
            await self._try(XENDIT, lambda batch=batch: self._ask_xendit(batch))  # type: ignore[misc]
            self._check_batch(batch, context)
            orders = sum(len(dossier.orders) for dossier in batch)
            self._report.orders += orders
            self._watch.advance(orders)

    async def _ask_xendit(self, batch: Sequence[Dossier]) -> None:
        if self._sources.xendit:
            by_order = {dossier.order_id: dossier for dossier in batch}
            for invoice in await self._sources.xendit.find(list(by_order)):
                dossier = by_order[invoice.order_id]
                if Enricher.is_of(invoice, dossier):
                    dossier.invoices.append(invoice)

    def _check_batch(self, batch: Sequence[Dossier], context: Context) -> None:
        checks = [(rule, rule.check) for rule in RULES.values() if rule.check and self._applies(rule)]
        for dossier in batch:
            for rule, check in checks:
                for fault in check(dossier, context):
                    self._take(rule, fault, context, dossier.order_id, on_its_way=dossier.on_its_way)

    def _applies(self, rule: Rule) -> bool:
        return rule.needs <= self._read and rule.code not in self._ignore

    def _take(
        self, rule: Rule, fault: Fault, context: Context, order_id: int | None, *, on_its_way: bool = False
    ) -> None:
        """Count a fault that may go away by itself, and report any other."""
        if not self._applies(rule):
            return
        patience_s = {Patience.MESSAGES: self._grace_s, Patience.WEBHOOK: self._limits.webhook_s}.get(
            rule.patience, 0.0
        )
        young = patience_s > 0 and fault.since is not None and context.now - fault.since < timedelta(seconds=patience_s)
        travelling = rule.patience is Patience.MESSAGES and fault.excusable and on_its_way
        if rule.patience is not Patience.NONE and (young or travelling):
            self._report.in_flight[rule.code] += 1
            return
        subject = fault.subject or f"order {order_id}"
        self._report.add(Finding(rule.code, order_id, subject, str(fault.expected), str(fault.found), fault.since))
