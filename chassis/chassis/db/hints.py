"""Hints by NOTIFY: a process that has committed events wakes the active relay of another process.

A lost hint costs time only, because the relay also polls. A NOTIFY in the transaction of the events would make all
commits wait for each other. So it has a commit of its own.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import asyncpg

from chassis.db.database import Database
from chassis.loops import Loop

_CHANNEL = "outbox"
# A process gives a hint at most so often: a relay that has work reads the outbox again by itself.
PAUSE_S = 0.05
UNASKED_S = 3600


async def take(session: asyncpg.Connection, wake: Callable[[], None]) -> None:
    """Call `wake` for each hint, as long as the session lives."""
    await session.add_listener(_CHANNEL, lambda *_: wake())


async def give(connection: asyncpg.Connection) -> None:
    await connection.execute(f"NOTIFY {_CHANNEL}")


async def _give(db: Database) -> None:
    async with db.driver() as connection:
        await give(connection)
    await asyncio.sleep(PAUSE_S)


def loop(db: Database) -> Loop:
    """Give hints when this process has committed events. It is for a process without a relay."""
    return Loop("relay_hints", UNASKED_S, partial(_give, db), db.relay_wake)
