"""Deletes revoked tokens that no verifier accepts any more."""

from chassis.db.database import Database
from userfc.repository import tokens

BATCH = 5_000


async def purge_revocations(db: Database) -> bool:
    """Delete one batch. Returns True if more may be left."""
    async with db.transaction() as tx:
        return await tokens.purge(tx, BATCH) == BATCH
