"""The hash chain of the audit log: each entry's place in it, and the end of each order's chain.

The version before delivers no entry that is written from here on: it would do so without hashes. It finds entries by
`next_attempt_at`, whose default is now a time that never comes. They wait for the first replica of this version, which
finds them by `due_at`. Entries of before are delivered by either version, without hashes.

The version before sorts what is left of those by itself. Its indexes are dropped.
"""

from alembic import op

from chassis.db.migrations import build_index, drop_index

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

UP = (
    "ALTER TABLE audit_outbox ALTER COLUMN next_attempt_at SET DEFAULT 'infinity',"
    " ADD COLUMN due_at timestamptz DEFAULT now() NOT NULL, ADD COLUMN prev_hash TEXT, ADD COLUMN hash TEXT",
    "CREATE TABLE audit_heads (order_id BIGINT, hash TEXT NOT NULL, entries BIGINT NOT NULL,"
    " create_time timestamptz DEFAULT now() NOT NULL, CONSTRAINT pk_audit_heads PRIMARY KEY (order_id))",
)
DOWN = (
    "UPDATE audit_outbox SET next_attempt_at = CASE WHEN attempts > 0 THEN due_at END"
    " WHERE next_attempt_at = 'infinity'",
    "ALTER TABLE audit_outbox ALTER COLUMN next_attempt_at DROP DEFAULT,"
    " DROP COLUMN due_at, DROP COLUMN prev_hash, DROP COLUMN hash",
    "DROP TABLE audit_heads",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)
    build_index("ix_audit_outbox_due", "audit_outbox (due_at, id)")
    drop_index("ix_audit_outbox_fresh")
    drop_index("ix_audit_outbox_refused")


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
    build_index("ix_audit_outbox_fresh", "audit_outbox (id) WHERE next_attempt_at IS NULL")
    build_index("ix_audit_outbox_refused", "audit_outbox (next_attempt_at) WHERE next_attempt_at IS NOT NULL")
