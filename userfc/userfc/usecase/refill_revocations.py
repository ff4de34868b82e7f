"""Keeps the copy of the revoked tokens in Redis complete and current, also after an outage or a loss of data."""

import structlog

from chassis.db.database import Database
from userfc.repository import tokens
from userfc.repository.revoked_copy import RevokedCopy

log = structlog.get_logger(__name__)

PAGE = 1_000
# Tokens that were revoked so recently are written again in each round: another replica may have failed to write them.
# Longer than a log-out can take to commit, plus the life of the mark: each renewal includes what the last one missed.
RECENT_S = 30


async def refill_revocations(db: Database, copy: RevokedCopy) -> None:
    """Write the recently revoked tokens to Redis, or all when its copy is not complete, and renew the mark of it."""
    state = await copy.state()
    if state is None:
        return
    data_id, is_complete = state
    within_s = RECENT_S if is_complete and not copy.stale else None
    # Reset before the copy starts: a write that fails meanwhile sets it again.
    copy.stale = False
    done = False
    try:
        count = await _write(db, copy, within_s)
        done = count is not None and await copy.mark_current(data_id)
    finally:
        copy.stale = copy.stale or not done
    if not done:
        await copy.distrust()
    elif within_s is None:
        log.info("revoked tokens written to redis", count=count)


async def _write(db: Database, copy: RevokedCopy, within_s: int | None) -> int | None:
    """Copy page by page and return the number of tokens. Returns None if Redis failed."""
    after, count = "", 0
    while page := await tokens.live(db, after, PAGE, within_s):
        if not await copy.fill(page):
            return None
        after, count = page[-1][0], count + len(page)
    return count
