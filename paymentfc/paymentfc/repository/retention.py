"""Removes what is no longer needed: finished work, bodies of callbacks, and what old payments hold of a person.

Payments, anomalies, receipts, refunds and the tombstones of rejected and cancelled orders are kept: they are money, or
guard it. Audit entries leave the database when MongoDB has them, and not before.
"""

from collections.abc import Sequence
from functools import partial

import asyncpg

from chassis.db.housekeeping import Purge
from paymentfc.config import Settings

ERASED = "erased"
KEPT_PERSON = f"shipping_address <> '{ERASED}'"
FINISHED = "status IN ('DONE', 'CANCELLED', 'EXHAUSTED')"
_OLD = "< now() - $1 * interval '1 day'"

_REQUESTS = f"""
DELETE FROM payment_requests WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM payment_requests WHERE {FINISHED} AND update_time {_OLD} ORDER BY update_time LIMIT $2))
"""
_CLOSINGS = f"""
DELETE FROM invoice_closings WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM invoice_closings WHERE step = 'done' AND done_at {_OLD} ORDER BY done_at LIMIT $2))
"""
# The row stays: it makes a repeated callback a repetition.
_BODIES = """
UPDATE {table} SET body = '' WHERE id = ANY(ARRAY(
  SELECT id FROM {table} WHERE body <> '' AND create_time {old}
  ORDER BY create_time LIMIT $2 FOR UPDATE SKIP LOCKED))
"""
_CALLBACK_BODIES = _BODIES.format(table="payment_callbacks", old=_OLD)
_REFUND_BODIES = _BODIES.format(table="refund_callbacks", old=_OLD)
# An event that was retried and is still not published stays on the list.
_FAILED_EVENTS = f"""
DELETE FROM failed_events WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM failed_events f WHERE retried_at {_OLD}
    AND NOT EXISTS (SELECT FROM outbox o WHERE o.event_id = f.event_id AND o.published_at IS NULL)
  ORDER BY retried_at LIMIT $2))
"""
_PERSONS = f"""
UPDATE payments SET user_email = NULL, shipping_address = '{ERASED}' WHERE id = ANY(ARRAY(
  SELECT id FROM payments WHERE {KEPT_PERSON} AND status <> 'PENDING' AND create_time {_OLD}
  ORDER BY create_time LIMIT $2 FOR UPDATE SKIP LOCKED))
"""


def purges(settings: Settings) -> Sequence[Purge]:
    """Return the purges of this service, each with its own retention in days."""
    return [
        partial(_remove, statement=_REQUESTS, days=settings.payment_request_keep_days),
        partial(_remove, statement=_CLOSINGS, days=settings.invoice_closing_keep_days),
        partial(_remove, statement=_CALLBACK_BODIES, days=settings.callback_body_keep_days),
        partial(_remove, statement=_REFUND_BODIES, days=settings.callback_body_keep_days),
        partial(_remove, statement=_FAILED_EVENTS, days=settings.failed_event_keep_days),
        partial(_remove, statement=_PERSONS, days=settings.payment_person_keep_days),
    ]


async def _remove(driver: asyncpg.Connection, limit: int, *, statement: str, days: int) -> int:
    status: str = await driver.execute(statement, days, limit)
    return int(status.rsplit(maxsplit=1)[-1])
