"""Records that an administrator has an event of the outbox sent again."""

from chassis.db.database import Tx
from chassis.db.outbox_admin import Retry, Row
from productfc.repository import admin_actions
from productfc.repository.admin_actions import Action, Admin


async def note_retry(tx: Tx, row: Row, retry: Retry) -> None:
    admin = Admin(retry.user_id, retry.email, retry.address)
    before = {name: row[name] for name in ("event_id", "topic", "key", "state")}
    await admin_actions.add(tx, admin, Action.EVENT_RETRIED, row["id"], before, {"reason": retry.reason})
