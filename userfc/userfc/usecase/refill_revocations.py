"""Keeps the copy of the revoked tokens in Redis complete, also after an outage or a loss of data."""

import structlog

from chassis.db.database import Database
from userfc.repository import tokens
from userfc.repository.revoked_copy import RevokedCopy

log = structlog.get_logger(__name__)

PAGE = 1_000


async def refill_revocations(db: Database, copy: RevokedCopy) -> None:
    """Write all revoked tokens to Redis when this Redis process was never filled, or when a write has failed."""
    state = await copy.state()
    if state is None:
        return
    run_id, is_filled = state
    if is_filled and not copy.stale:
        return
    # Reset before the copy starts: a write that fails meanwhile sets it again.
    copy.stale = False
    done = False
    try:
        count = await _write_all(db, copy, None)
        done = count is not None and await copy.mark_filled(run_id)
    finally:
        copy.stale = copy.stale or not done
    if not done:
        await copy.distrust()
        return
    log.info("revoked tokens written to redis", count=count)


async def repeat_revocations(db: Database, copy: RevokedCopy, within_s: float) -> None:
    """Write the tokens again that were revoked within `within_s`.

    A replica may have died after its commit and before its write to Redis.
    """
    if await _write_all(db, copy, within_s) is None:
        await copy.distrust()


async def _write_all(db: Database, copy: RevokedCopy, within_s: float | None) -> int | None:
    """Copy page by page and return the number of tokens; None when Redis failed."""
    after, count = "", 0
    while page := await tokens.live(db, after, PAGE, within_s):
        if not await copy.fill(page):
            return None
        after, count = page[-1][0], count + len(page)
    return count
