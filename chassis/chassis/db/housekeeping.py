"""Removes old rows in batches: published events, ids of events that were applied, and what a service adds."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import asyncpg

from chassis.db import inbox, outbox
from chassis.db.database import Database
from chassis.loops import Loop

INTERVAL_S = 600
BATCH = 5_000

Purge = Callable[[asyncpg.Connection, int], Awaitable[int]]
"""Removes up to so many old rows, or what they hold of a person, along an index; returns how many."""


async def purge(db: Database, purges: Sequence[Purge] = ()) -> bool:
    """Run one batch of each purge. Returns True if there may be more."""
    settings = db.settings
    own: tuple[Purge, ...] = (
        partial(outbox.purge, days=settings.outbox_keep_days),
        partial(inbox.purge, days=settings.inbox_keep_days),
    )
    more = False
    for purge_batch in (*own, *purges):
        async with db.driver() as connection:
            more |= await purge_batch(connection, BATCH) == BATCH
    return more


def loop(db: Database, purges: Sequence[Purge]) -> Loop:
    """Purge every ten minutes."""
    return Loop("housekeeping", INTERVAL_S, partial(purge, db, purges))
