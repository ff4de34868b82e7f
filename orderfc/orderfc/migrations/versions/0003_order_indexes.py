"""Indexes for a customer's orders of one status, and for the addresses whose retention ends.

Each is built concurrently, so the previous version goes on reading and writing.
"""

from chassis.db.migrations import build_index, drop_index

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_orders_user_id_status_id": "orders (user_id, status, id)",
    "ix_orders_kept_address": "orders (created_at) WHERE shipping_address <> 'erased'",
}


def upgrade() -> None:
    for name, definition in INDEXES.items():
        build_index(name, definition)


def downgrade() -> None:
    for name in INDEXES:
        drop_index(name)
