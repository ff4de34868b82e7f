"""The rules of the chain stay exact while entries are delivered: what the databases' snapshot explains is no fault."""

from datetime import UTC, datetime, timedelta

from fc.audit.log_model import AuditEntry, ChainHead
from fc.audit.model import Dossier
from fc.audit.rules.audit_chain import FIRST, added, chain
from fc.audit.rules.rule import Context

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=2)


def entry(number: int, *, chained: bool = True, at: datetime = EARLIER) -> AuditEntry:
    """Make the entry of this number, whose hash is `h` and the number."""
    previous, own = (f"h{number - 1}" if number > 1 else FIRST, f"h{number}") if chained else (None, None)
    return AuditEntry(1, f"event-{number}", "payment.created", None, at, previous, own, True)


def dossier(logged: list[AuditEntry], undelivered: list[AuditEntry], entries: int) -> Dossier:
    heads = [ChainHead(1, f"h{entries}", entries, EARLIER)] if entries else []
    return Dossier(1, audit=logged, undelivered=undelivered, audit_heads=heads)


def faults(made: Dossier) -> tuple[int, list[datetime | None]]:
    """Return how many faults the chain has, and since when entries are too many."""
    context = Context(NOW, timedelta(minutes=5), timedelta(days=7), chained_since=EARLIER)
    return len(list(chain(made, context))), [fault.since for fault in added(made, context)]


def test_entries_may_wait_in_any_order() -> None:
    assert faults(dossier([entry(1), entry(3)], [entry(2), entry(4)], 4)) == (0, [])


def test_an_entry_may_be_in_the_log_and_in_the_outbox() -> None:
    assert faults(dossier([entry(1), entry(2)], [entry(2)], 2)) == (0, [])


def test_an_entry_that_got_its_place_after_the_snapshot_is_no_fault() -> None:
    assert faults(dossier([entry(1), entry(2)], [entry(2, chained=False)], 1)) == (0, [])


def test_an_entry_that_was_written_after_the_snapshot_has_patience() -> None:
    later = NOW + timedelta(seconds=3)
    assert faults(dossier([entry(1), entry(3, at=later)], [], 1)) == (0, [later])


def test_an_audit_chain_without_entries_is_a_fault() -> None:
    assert faults(dossier([], [], 2))[0] == 1


def test_an_audit_chain_with_a_cycle_is_a_fault() -> None:
    cycle = AuditEntry(1, "event-1", "payment.paid", None, EARLIER, "h2", "h1", True)
    assert faults(dossier([cycle, entry(2)], [], 2))[0] == 1
