"""Waits until the platform rests: all events published and consumed, and no payment work due now."""

import asyncio
import time
from collections.abc import Mapping

import asyncpg

from fc.audit.reading.broker import Broker
from fc.audit.watch import Watch
from fc.platform.errors import CouldNotCheck
from fc.platform.topics import CONSUMERS, PRODUCERS, PUBLISHERS

POLL_S = 0.3

_UNSENT = "SELECT count(*) FROM outbox WHERE published_at IS NULL AND parked_at IS NULL"
# Work that a worker has claimed counts although it is not due; work that backs off after a failure does not.
_PAYMENT_WORK = {
    "payment requests": """
        SELECT count(*) FROM payment_requests WHERE status IN ('PENDING', 'FAILED', 'VERIFY')
          AND (next_attempt_at <= now() OR lease_until > statement_timestamp())""",
    "callbacks to confirm": """
        SELECT count(*) FROM payment_confirmations WHERE due_at <= now() OR last_error IS NULL""",
    "invoices to close": """
        SELECT count(*) FROM invoice_closings
        WHERE step <> 'done' AND (due_at <= now() OR step = 'expire' AND last_error IS NULL)""",
    # The sweep's lease is 30 s; a payment with an anomaly is postponed for an hour.
    "payments past expiry": """
        SELECT count(*) FROM payments WHERE status = 'PENDING' AND expires_at <= now() AND invoice_id IS NOT NULL
          AND (sweep_after IS NULL OR sweep_after <= now() + interval '30 seconds')""",
    "undelivered audit entries": "SELECT count(*) FROM audit_outbox WHERE attempts = 0",
}


async def quiesce(databases: Mapping[str, asyncpg.Connection], broker: Broker, limit_s: float, watch: Watch) -> None:
    """Return after two readings in a row without remaining work and without a new message.

    Raises CouldNotCheck, which names the remaining work, when that takes longer than `limit_s` seconds.
    """
    watch.stage("waiting for the platform to rest")
    deadline = time.monotonic() + limit_s
    before: int | None = None
    while True:
        left, messages = await _left(databases, broker)
        if not left and before == messages:
            return
        before = None if left else messages
        if time.monotonic() > deadline:
            busy = ", ".join(left) or "new messages keep arriving"
            raise CouldNotCheck(f"the platform did not come to rest within {limit_s:g} s: {busy}")
        await asyncio.sleep(POLL_S)


async def _left(databases: Mapping[str, asyncpg.Connection], broker: Broker) -> tuple[list[str], int]:
    """Return the remaining work, and the number of messages on all topics."""
    left = []
    unsent = {service: await databases[service].fetchval(_UNSENT) for service in PUBLISHERS}
    left += [f"{service} has {count} unsent events" for service, count in unsent.items() if count]
    bounds = await broker.bounds(await broker.partitions(PRODUCERS))
    committed = await broker.committed()
    lag: dict[str, int] = {}
    for partition, (begin, end) in bounds.items():
        for group in CONSUMERS[partition.topic]:
            consumed = max(committed.get((group, partition.topic, partition.partition), 0), begin)
            lag[group] = lag.get(group, 0) + max(end - consumed, 0)
    left += [f"{group} has {count} messages to consume" for group, count in lag.items() if count]
    counts = {work: await databases["paymentfc"].fetchval(sql) for work, sql in _PAYMENT_WORK.items()}
    left += [f"paymentfc has {count} {work}" for work, count in counts.items() if count]
    return left, sum(end for _, end in bounds.values())
