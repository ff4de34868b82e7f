"""Redis knows of every token that was logged out, also after it was away or lost its data; what has expired goes."""

from dataclasses import dataclass

import structlog

from chassis.db.database import Database
from userfc.repository import tokens
from userfc.repository.revoked_copy import RevokedCopy

log = structlog.get_logger(__name__)

PAGE = 1_000
PURGE_BATCH = 5_000


@dataclass(frozen=True)
class KeepRevocations:
    """The background work on `revoked_tokens`; each method is one run, and runs again soon."""

    db: Database
    copy: RevokedCopy

    async def refill(self) -> None:
        """Fill Redis from the database if it is not the Redis process that was filled, or if it missed something."""
        state = await self.copy.state()
        if state is None:
            return
        run_id, filled = state
        if filled and not self.copy.stale:
            return
        # Before the copy, so that what fails to be written meanwhile is not forgotten.
        self.copy.stale = False
        done = False
        try:
            count = await self._write_all(None)
            done = count is not None and await self.copy.mark_filled(run_id)
        finally:
            self.copy.stale = self.copy.stale or not done
        if not done:
            await self.copy.distrust()
            return
        log.info("revoked tokens written to redis", count=count)

    async def repeat(self, within_s: float) -> None:
        """Write once more what was revoked lately: a replica may have died between its commit and its Redis."""
        if await self._write_all(within_s) is None:
            await self.copy.distrust()

    async def purge(self) -> bool:
        """Delete a batch of what no verifier accepts any more; True when there may be more."""
        async with self.db.transaction() as tx:
            return await tokens.purge(tx, PURGE_BATCH) == PURGE_BATCH

    async def _write_all(self, within_s: float | None) -> int | None:
        """Copy page by page; None when Redis failed."""
        after, count = "", 0
        while page := await tokens.live(self.db, after, PAGE, within_s):
            if not await self.copy.fill(page):
                return None
            after, count = page[-1][0], count + len(page)
        return count
