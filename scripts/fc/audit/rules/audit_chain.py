"""Rules about the hash chain of the audit log: no entry was changed, removed, added or moved.

`audit_heads` of paymentfc has the end of each order's chain. From there each entry names the one before it, back to the
first. An entry that is not on this way was added, unless the service appended it after the databases were read.
"""

from collections.abc import Iterator
from datetime import timedelta

from fc.audit.log_model import AuditEntry
from fc.audit.model import Dossier
from fc.audit.rules.rule import MONGO, Context, Fault, Patience, rule

FIRST = "0" * 64
CREATED = "payment.created"
# An entry that is written while the audit reads is at most so much younger than the databases' snapshot.
READING = timedelta(hours=1)


def _entries(dossier: Dossier) -> list[AuditEntry]:
    """Return the entries in the log, and those still in the outbox that have their place in the chain."""
    logged = {entry.event_id for entry in dossier.audit}
    return dossier.audit + [entry for entry in dossier.undelivered if entry.hash and entry.event_id not in logged]


def _way(dossier: Dossier) -> tuple[list[AuditEntry], str]:
    """Follow the chain from its end; return its entries, last first, and the hash that no entry has, or FIRST."""
    by_hash = {entry.hash: entry for entry in _entries(dossier) if entry.hash}
    way: list[AuditEntry] = []
    wanted = dossier.audit_heads[0].hash if dossier.audit_heads else FIRST
    while (entry := by_hash.pop(wanted, None)) is not None:
        way.append(entry)
        wanted = entry.prev_hash or ""
    return way, wanted


@rule("audit_chain", "Each entry of the audit log is as it was written, and none is missing.", needs=(MONGO,))
def chain(dossier: Dossier, _: Context) -> Iterator[Fault]:
    for entry in dossier.audit:
        if not entry.genuine:
            found = f"{entry.event} {entry.event_id} was rewritten"
            yield Fault(f"the content of hash {entry.hash}", found, entry.create_time)
    for head in dossier.audit_heads:
        way, missing = _way(dossier)
        if missing != FIRST or len(way) != head.entries:
            expected = f"{head.entries} entries in the chain that ends with {head.hash}"
            yield Fault(expected, f"{len(way)}, then {missing} is missing", head.create_time)


@rule(
    "audit_added",
    "Each entry of the audit log belongs to the chain of its order.",
    patience=Patience.MESSAGES,
    needs=(MONGO,),
)
def added(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Report entries outside the chain. Those of versions without hashes are older than every chain."""
    way, missing = _way(dossier)
    if missing != FIRST:
        return
    known = {entry.event_id for entry in way}
    waiting = {entry.event_id for entry in dossier.undelivered if not entry.hash}
    for entry in dossier.audit:
        if entry.event_id in known | waiting or _is_of_before(entry, way, context):
            continue
        is_plausible = entry.create_time < context.now + READING
        found = f"{entry.event} {entry.event_id} is not part of it"
        since = entry.create_time if is_plausible else context.now - READING
        yield Fault("the chain of the order", found, since, excusable=False)


def _is_of_before(entry: AuditEntry, way: list[AuditEntry], context: Context) -> bool:
    """Whether a version without hashes may have written an entry. A chain with the first step has no such entries."""
    if entry.hash or any(each.event == CREATED for each in way):
        return False
    return context.chained_since is None or entry.create_time < context.chained_since
