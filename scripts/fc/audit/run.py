"""Runs an audit: wait for rest if requested, take one snapshot of everything, check every rule on every order."""

import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import timedelta
from functools import partial
from typing import TypeVar

import asyncpg

from fc.audit.log_model import AuditEntry
from fc.audit.model import Dossier, Mark
from fc.audit.patience import Judge, Limits
from fc.audit.quiesce import quiesce
from fc.audit.reading import mongo
from fc.audit.reading.broker import Broker, Scan
from fc.audit.reading.cache import Cached, cache_faults, read_cache
from fc.audit.reading.enrich import Enricher
from fc.audit.reading.merge import Stream, batched, in_batches, streams_of
from fc.audit.reading.messages import message_faults
from fc.audit.reading.queries import CHAINED_SINCE, COUNT_ORDERS, REFUNDED_SINCE
from fc.audit.reading.spill import Spill
from fc.audit.reading.xendit import Gateway, gateway_at
from fc.audit.report import Finding, Report
from fc.audit.rules import RULES
from fc.audit.rules.rule import KAFKA, MONGO, REDIS, XENDIT, Context, Fault
from fc.audit.watch import Unwatched, Watch
from fc.platform.errors import CouldNotCheck
from fc.platform.snapshot import Snapshot, connected
from fc.platform.stores import Stores, XenditAddress

BATCH = 500

T = TypeVar("T")


async def run_audit(
    sources: Stores,
    *,
    quiesce_s: float | None = None,
    limits: Limits | None = None,
    ignore: Collection[str] = (),
    watch: Watch | None = None,
    on_finding: Callable[[Finding], None] | None = None,
    gateway: Callable[[XenditAddress], Gateway] = gateway_at,
) -> Report:
    """Check all rules except those to `ignore` and return the report; nothing is changed anywhere.

    With `quiesce_s` it first waits so long for the platform to rest, and then gives messages no grace. Kafka, MongoDB,
    Xendit and Redis may be missing or fail: the rules that need them are then left out. Raises CouldNotCheck when a
    database can't be read, or the platform does not come to rest.
    """
    began = time.monotonic()
    report = Report(on_finding=on_finding)
    xendit = gateway(sources.xendit) if sources.xendit else None
    audit = _Audit(sources, xendit, limits or Limits(), set(ignore), watch or Unwatched(), report)
    try:
        if quiesce_s is not None:
            await audit.rest(quiesce_s)
        await audit.run()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise CouldNotCheck(f"a database stopped answering: {str(error) or type(error).__name__}") from error
    except sqlite3.Error as error:
        folder = tempfile.gettempdir()
        raise CouldNotCheck(f"a temporary file in {folder}: {error}; TMPDIR chooses another folder") from error
    finally:
        if xendit:
            await xendit.close()
    report.seconds = time.monotonic() - began
    return report


class _Audit:
    def __init__(
        self,
        sources: Stores,
        xendit: Gateway | None,
        limits: Limits,
        ignored: set[str],
        watch: Watch,
        report: Report,
    ) -> None:
        self._sources = sources
        self._xendit = xendit
        self._stuck, self._outbox_kept = timedelta(seconds=limits.stuck_s), timedelta(days=limits.outbox_days)
        self._watch = watch
        self._report = report
        self._read = {name for name in (KAFKA, MONGO, XENDIT, REDIS) if getattr(sources, name) is not None}
        self._judge = Judge(report, limits, ignored, self._read)
        report.skipped = sorted({KAFKA, MONGO, XENDIT, REDIS} - self._read)

    async def rest(self, limit_s: float) -> None:
        """Wait until the platform rests. Raises CouldNotCheck after `limit_s` seconds."""
        if self._sources.kafka is None:
            raise CouldNotCheck("without Kafka it is unknown whether the platform rests")
        async with Broker.opened(self._sources.brokers()) as broker, self._sessions() as databases:
            await quiesce(databases, broker, limit_s, self._watch)
        self._judge.rested()

    @asynccontextmanager
    async def _sessions(self) -> AsyncIterator[dict[str, asyncpg.Connection]]:
        """Open a session on each database; it sees what was committed after the snapshot."""
        async with AsyncExitStack() as stack:
            yield {
                service: await stack.enter_async_context(connected(service, address))
                for service, address in self._sources.databases.items()
            }

    async def run(self) -> None:
        """Read everything and check every rule.

        The order of reading matters: the committed offsets of a group are read before its inbox, cached products before
        the products, and a topic is read to its end after the outbox whose events it must hold.
        """
        async with AsyncExitStack() as stack:
            spill = stack.enter_context(closing(Spill()))
            broker = await self._try(KAFKA, lambda: stack.enter_async_context(Broker.opened(self._sources.brokers())))
            committed = await self._try(KAFKA, broker.committed) if broker else None
            cached = await self._try(REDIS, lambda: read_cache(self._sources.redis or ""))
            snapshot = await stack.enter_async_context(Snapshot.taken(self._sources.databases))
            self._report.now = snapshot.now
            context = Context(snapshot.now, self._stuck, self._outbox_kept, committed=committed or {})
            scan = Scan()
            if broker:
                scan = await self._try(KAFKA, lambda: broker.scan(spill, context.committed, self._watch)) or scan
            if gateway := self._xendit:
                await self._try(XENDIT, lambda: gateway.prepare(self._watch))
            await self._try(MONGO, lambda: mongo.read(self._sources.mongo or "", spill, self._watch))
            context.read, context.kept_since = frozenset(self._read), scan.kept_since
            [row] = await snapshot.fetch("paymentfc", CHAINED_SINCE)
            context.chained_since = row["moment"]
            [row] = await snapshot.fetch("paymentfc", REFUNDED_SINCE)
            context.refunded_since = row["moment"]
            await self._check_statements(snapshot, context)
            await self._check_orders(snapshot, spill, context)
            await self._check_messages(snapshot, spill, scan, context)
            await self._try(REDIS, lambda: self._check_cache(snapshot, cached or {}, context))
        self._report.rules = sum(self._judge.applies(rule) for rule in RULES.values())

    async def _try(self, source: str, read: Callable[[], Awaitable[T]]) -> T | None:
        """Read an optional source; when it fails, its rules are left out and the report has the reason."""
        if source not in self._read:
            return None
        try:
            return await read()
        except CouldNotCheck as error:
            self._read.discard(source)
            self._report.unread[source] = str(error)
            return None

    async def _check_statements(self, snapshot: Snapshot, context: Context) -> None:
        for rule in RULES.values():
            for service, sql in rule.sql.items() if self._judge.applies(rule) else ():
                values = [context.stuck] if "$1" in sql else []
                async for rows in snapshot.batches(service, sql, *values):
                    for subject, order_id, expected, actual, since in rows:
                        self._judge.take(rule, Fault(expected, actual, since, subject), context.now, order_id)

    async def _check_orders(self, snapshot: Snapshot, spill: Spill, context: Context) -> None:
        streams = streams_of(snapshot)
        if MONGO in self._read:
            streams.append(Stream("audit", in_batches(spill.documents()), AuditEntry))
        if XENDIT in self._read and self._xendit:
            streams.append(Stream("marks", in_batches(self._xendit.invoiced()), Mark))
        enricher = Enricher(snapshot, spill, context)
        self._watch.stage("checking orders", await snapshot.count("orderfc", COUNT_ORDERS))
        async for batch in batched(streams, BATCH):
            await enricher.enrich(batch)
            if gateway := self._xendit:
                await self._try(XENDIT, partial(_add_invoices, gateway, batch))
            self._check_batch(batch, context)
            orders = sum(len(dossier.orders) for dossier in batch)
            self._report.orders += orders
            self._watch.advance(orders)

    def _check_batch(self, batch: Sequence[Dossier], context: Context) -> None:
        checks = [(rule, rule.check) for rule in RULES.values() if rule.check and self._judge.applies(rule)]
        for dossier in batch:
            for rule, check in checks:
                for fault in check(dossier, context):
                    self._judge.take(rule, fault, context.now, dossier.order_id, order_in_flight=dossier.in_flight)

    async def _check_messages(self, snapshot: Snapshot, spill: Spill, scan: Scan, context: Context) -> None:
        if KAFKA in self._read:
            self._watch.stage("comparing topics with outboxes")
            async with self._sessions() as databases:
                async for code, fault, order_id in message_faults(spill, scan, context, snapshot, databases):
                    self._judge.take(RULES[code], fault, context.now, order_id)

    async def _check_cache(self, snapshot: Snapshot, cached: Cached, context: Context) -> None:
        async for fault in cache_faults(self._sources.redis or "", cached, snapshot):
            self._judge.take(RULES["product_cached"], fault, context.now, None)


async def _add_invoices(gateway: Gateway, batch: Sequence[Dossier]) -> None:
    by_order = {dossier.order_id: dossier for dossier in batch}
    for invoice in await gateway.find(list(by_order)):
        dossier = by_order[invoice.order_id]
        if Enricher.is_of(invoice, dossier):
            dossier.invoices.append(invoice)
    for dossier in batch:
        for invoice_id in {refund.invoice_id for refund in dossier.refunds}:
            dossier.given_back += await gateway.given_back(invoice_id)
