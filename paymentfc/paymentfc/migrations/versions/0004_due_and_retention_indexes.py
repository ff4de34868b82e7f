"""Indexes on what is due, one for each claim, and on what the retention removes.

Each is built concurrently, so the previous version goes on reading and writing. Its claims read their whole tables from
here on until it is replaced.
"""

from chassis.db.migrations import build_index, drop_index

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OPEN = "status = 'PENDING' AND invoice_id IS NOT NULL"
NEW = {
    "ix_payments_sweep_first": f"payments (expires_at) WHERE {_OPEN} AND sweep_after IS NULL",
    "ix_payments_sweep_again": f"payments (sweep_after) WHERE {_OPEN} AND sweep_after IS NOT NULL",
    "ix_payments_check_first": f"payments (invoice_time) WHERE {_OPEN} AND check_after IS NULL",
    "ix_payments_check_again": f"payments (check_after) WHERE {_OPEN} AND check_after IS NOT NULL",
    "ix_payments_kept_person": "payments (create_time) WHERE shipping_address <> 'erased'",
    "ix_payment_requests_new": "payment_requests (next_attempt_at, id) WHERE status = 'PENDING'",
    "ix_payment_requests_again": "payment_requests (next_attempt_at, id) WHERE status IN ('FAILED', 'VERIFY')",
    "ix_payment_requests_finished": (
        "payment_requests (update_time) WHERE status IN ('DONE', 'CANCELLED', 'EXHAUSTED')"
    ),
    "ix_payment_callbacks_kept_body": "payment_callbacks (create_time) WHERE body <> ''",
    "ix_invoice_closings_done": "invoice_closings (done_at) WHERE step = 'done'",
    "ix_failed_events_retried_at": "failed_events (retried_at) WHERE retried_at IS NOT NULL",
    "ix_audit_outbox_fresh": "audit_outbox (id) WHERE next_attempt_at IS NULL",
    "ix_audit_outbox_refused": "audit_outbox (next_attempt_at) WHERE next_attempt_at IS NOT NULL",
}
OLD = {
    "ix_payments_open_expiry": "payments (expires_at) WHERE status = 'PENDING'",
    "ix_payments_open_invoice": "payments (invoice_time) WHERE status = 'PENDING'",
    "ix_payment_requests_due": (
        "payment_requests (status, next_attempt_at) WHERE status IN ('PENDING', 'FAILED', 'VERIFY')"
    ),
}


def upgrade() -> None:
    _replace(OLD, NEW)


def downgrade() -> None:
    _replace(NEW, OLD)


def _replace(old: dict[str, str], new: dict[str, str]) -> None:
    for name, definition in new.items():
        build_index(name, definition)
    for name in old:
        drop_index(name)
