"""What administrators did to products, categories and events: who, from where, and both values of what changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import asyncpg
import orjson

from chassis.db.database import Tx

_ADD = """
INSERT INTO admin_actions (action, admin_id, admin_email, address, subject_id, before, after)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7::jsonb)
"""
_PURGE = """
DELETE FROM admin_actions WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM admin_actions WHERE created_at < now() - $1 * interval '1 day' ORDER BY created_at LIMIT $2))
"""


class Action(StrEnum):
    """The changes that are recorded."""

    PRODUCT_CREATED = "admin.product_created"
    PRODUCT_CHANGED = "admin.product_changed"
    PRODUCT_DELETED = "admin.product_deleted"
    CATEGORY_CREATED = "admin.category_created"
    CATEGORY_CHANGED = "admin.category_changed"
    CATEGORY_DELETED = "admin.category_deleted"
    EVENT_RETRIED = "admin.event_retried"


@dataclass(frozen=True, slots=True)
class Admin:
    """Who acts, and the address from which the request came."""

    user_id: int
    email: str
    address: str


async def add(
    tx: Tx, admin: Admin, action: Action, subject_id: int, before: Mapping[str, object], after: Mapping[str, object]
) -> None:
    """Record an action in the transaction of its change: its subject's fields before, and after.

    The subject is a product, a category or a row of the outbox.
    """
    await tx.driver().execute(
        _ADD, action.value, admin.user_id, admin.email, admin.address, subject_id, _json(before), _json(after)
    )


async def purge(driver: asyncpg.Connection, limit: int, *, days: int) -> int:
    """Remove up to `limit` of the oldest actions that are older than `days`; return how many."""
    status: str = await driver.execute(_PURGE, days, limit)
    return int(status.rsplit(maxsplit=1)[-1])


def _json(fields: Mapping[str, object]) -> str:
    return orjson.dumps(dict(fields), default=str).decode()
