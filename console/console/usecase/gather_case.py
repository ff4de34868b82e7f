"""All that can be known of one order: its timeline, and what was recorded about its payment."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from console.client.admin_api import AdminApi, NoAnswer
from console.client.letter_box import LetterBox
from console.model.facts import Facts, Json
from console.model.timeline import Timeline, as_json, timeline
from console.usecase.gather_order import OrderRecords, gather_order


@dataclass(frozen=True, slots=True)
class AuditLog:
    """Entries of the audit log, oldest first; `unread` says why it could not be read."""

    entries: Sequence[Json] = ()
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One order: the answers about it, the timeline made of them, and the audit log."""

    facts: Facts
    timeline: Timeline
    audit: AuditLog


async def gather_case(api: AdminApi, kafka: OrderRecords, letters: LetterBox, order_id: int) -> Case:
    """Gather what is known of an order. Raises Refused when a service refuses the token."""
    facts, audit = await asyncio.gather(gather_order(api, kafka, order_id, letters), _audit_log(api, order_id))
    return Case(facts, timeline(facts), audit)


async def _audit_log(api: AdminApi, order_id: int) -> AuditLog:
    try:
        return AuditLog(await api.audit_log(order_id))
    except NoAnswer as error:
        return AuditLog(unread=str(error))


def case_json(case: Case) -> dict[str, Any]:
    """Return a case as JSON values, to be kept or sent with a report."""
    facts = case.facts
    return {
        "order_id": facts.order_id,
        "made_at": facts.now.isoformat(),
        "unread": {**facts.unread, **({"audit log": case.audit.unread} if case.audit.unread else {})},
        "timeline": as_json(case.timeline),
        "order": facts.order,
        "payment": facts.dossier,
        "stock": facts.stock,
        "outbox": facts.unsent,
        "records": [asdict(record) for record in facts.records],
        "audit_log": case.audit.entries,
    }
