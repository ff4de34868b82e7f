"""Waits until the platform rests: outboxes sent, topics consumed, payment work that is due now done."""

import asyncio
import time
from collections.abc import Mapping

import asyncpg

from fc.audit.reading.broker import Broker
from fc.audit.watch import Watch
from fc.platform.errors import CouldNotCheck
from fc.platform.topics import CONSUMERS, PUBLISHER

POLL_S = 0.3

_UNSENT = "SELECT count(*) FROM outbox WHERE published_at IS NULL AND parked_at IS NULL"
# What a worker has claimed is at work although it is not due; what backs off after a failure rests.
_PAYMENT_WORK = {
    "payment requests": """
        SELECT count(*) FROM payment_requests WHERE status IN ('PENDING', 'FAILED', 'VERIFY')
          AND (next_attempt_at <= now() OR lease_until > now())""",
    "invoices to close": """
        SELECT count(*) FROM invoice_closings
        WHERE step <> 'done' AND (due_at <= now() OR step = 'expire' AND last_error IS NULL)""",
    # The sweep's lease is 30 s; an anomaly is put off for an hour.
    "payments past expiry": """
        SELECT count(*) FROM payments WHERE status = 'PENDING' AND expires_at <= now() AND invoice_id IS NOT NULL
          AND (sweep_after IS NULL OR sweep_after <= now() + interval '30 seconds')""",
    "undelivered audit entries": "SELECT count(*) FROM audit_outbox WHERE next_attempt_at IS NULL",
}


async def quiesce(databases: Mapping[str, asyncpg.Connection], broker: Broker, limit_s: float, watch: Watch) -> None:
    """Return once two looks in a row have found nothing to do and no new message.

    Raises CouldNotCheck, naming what is left, when that takes longer than `limit_s` seconds.
    """
    watch.stage("waiting until everything is done")
    deadline = time.monotonic() + limit_s
    before: int | None = None
    while True:
        left, messages = await _left(databases, broker)
        if not left and before == messages:
            return
        before = None if left else messages
        if time.monotonic() > deadline:
            busy = ", ".join(left) or "new messages all the time"
            raise CouldNotCheck(f"the platform did not come to rest within {limit_s:g} s: {busy}")
        await asyncio.sleep(POLL_S)


async def _left(databases: Mapping[str, asyncpg.Connection], broker: Broker) -> tuple[list[str], int]:
    """Say what is still to be done, and how many messages there are in all."""
    left = []
    for service in sorted(set(PUBLISHER.values())):
        if count := await databases[service].fetchval(_UNSENT):
            left.append(f"{service} has {count} unsent events")
    bounds = await broker.bounds(await broker.partitions(PUBLISHER))
    committed = await broker.committed()
    lag: dict[str, int] = {}
    for partition, (begin, end) in bounds.items():
        for group in CONSUMERS[partition.topic]:
            consumed = max(committed.get((group, partition.topic, partition.partition), 0), begin)
            lag[group] = lag.get(group, 0) + max(end - consumed, 0)
    left += [f"{group} has {count} messages to consume" for group, count in lag.items() if count]
    for work, sql in _PAYMENT_WORK.items():
        if count := await databases["paymentfc"].fetchval(sql):
            left.append(f"paymentfc has {count} {work}")
    return left, sum(end for _, end in bounds.values())
