"""Indexes of the outbox: one for each state of an unpublished event, and one for the purge.

Each is built concurrently, so the previous version goes on writing. Its own poll needs `ix_outbox_pending_key` only.
"""

from chassis.db.migrations import build_index, drop_index

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_WAITING = "published_at IS NULL AND parked_at IS NULL AND next_attempt_at IS NOT NULL"
INDEXES = {
    "ix_outbox_fresh": "outbox (topic, id) WHERE published_at IS NULL AND next_attempt_at IS NULL",
    "ix_outbox_waiting": f"outbox (topic, next_attempt_at, id) WHERE {_WAITING}",
    "ix_outbox_waiting_key": f"outbox (topic, key, id) WHERE {_WAITING}",
    "ix_outbox_parked": "outbox (topic, next_attempt_at, id) WHERE published_at IS NULL AND parked_at IS NOT NULL",
    "ix_outbox_published_at": "outbox (published_at) WHERE published_at IS NOT NULL",
}


def upgrade() -> None:
    for name, definition in INDEXES.items():
        build_index(name, definition)
    drop_index("ix_outbox_pending")


def downgrade() -> None:
    build_index("ix_outbox_pending", "outbox (id) WHERE published_at IS NULL")
    for name in INDEXES:
        drop_index(name)
