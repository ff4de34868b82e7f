"""Forgeries of the audit log: what is written to MongoDB, or taken from it, behind the service's back."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from chassis.ids import uuid7
from fc.audit.reading.mongo import entry_hash
from fc.audit.rules.audit_chain import FIRST

from .pieces import Sample
from .spoil import Plant, Spoil, sql
from .world import World

Row = dict[str, Any]


def _edit(edit: Callable[[list[Row]], list[Row]]) -> Spoil:
    """Replace the log's entries of the order, which are edited in the order of the chain."""

    async def run(world: World, made: Sample) -> None:
        async def change(log: Any) -> None:
            rows = await log.find({"order_id": made.order_id}, {"_id": False}).to_list()
            numbers = {row["event_id"]: number for number, row in enumerate(made.documents)}
            edited = edit(sorted(rows, key=lambda row: numbers[row["event_id"]]))
            await log.delete_many({"order_id": made.order_id})
            if edited:
                await log.insert_many(edited)

        await world.in_log(change)

    return run


def _linked(rows: list[Row], last: str = FIRST) -> list[Row]:
    """Link entries anew, with right hashes."""
    for row in rows:
        row["prev_hash"] = last
        row["hash"] = last = entry_hash(row) or ""
    return rows


def _rewritten(rows: list[Row]) -> list[Row]:
    rows[0]["metadata"]["amount"] = "1"
    return rows


def _of_another_form(rows: list[Row]) -> list[Row]:
    return [rows[0] | {"metadata": ["x", 1], "create_time": 1}, *rows[1:]]


def _rewritten_with_its_hash(rows: list[Row]) -> list[Row]:
    return [*_linked(_rewritten(rows)[:1]), *rows[1:]]


def _swapped_times(rows: list[Row]) -> list[Row]:
    first, second = rows[0]["create_time"], rows[1]["create_time"]
    rows[0]["create_time"], rows[1]["create_time"] = second, first + timedelta(milliseconds=1)
    return rows


def _new(row: Row, **changes: Any) -> Row:
    left = {name: value for name, value in row.items() if name not in ("prev_hash", "hash")}
    return left | {"event_id": str(uuid7()), "event": "admin.anomaly_resolved"} | changes


def _appended(rows: list[Row]) -> list[Row]:
    return rows + _linked([_new(rows[-1])], rows[-1]["hash"])


def _in_future(rows: list[Row]) -> list[Row]:
    later = datetime.now(rows[0]["create_time"].tzinfo) + timedelta(days=1)
    return [*rows, _new(rows[-1], create_time=later.replace(microsecond=0))]


def _moved(rows: list[Row]) -> list[Row]:
    rows[-1]["order_id"] += 10**9
    return rows


def _stripped(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in ("prev_hash", "hash")} for row in rows]


def _before(made: Sample) -> None:
    made.unchained = True


CHAIN, ADDED, STEPS, PUBLISHED = "audit_chain", "audit_added", "audit_steps", "audit_published"

FORGERIES = {
    "an audit entry rewritten": Plant((CHAIN,), "paid", None, _edit(_rewritten)),
    "an audit entry rewritten with its hash": Plant((CHAIN,), "paid", None, _edit(_rewritten_with_its_hash)),
    "an audit entry rewritten with all hashes": Plant(
        (CHAIN,), "paid", None, _edit(lambda rows: _linked(_rewritten(rows)))
    ),
    "an audit entry with a further field": Plant(
        (CHAIN,), "paid", None, _edit(lambda rows: [rows[0] | {"note": "x"}, *rows[1:]])
    ),
    "an audit entry of another form": Plant((CHAIN, PUBLISHED), "paid", None, _edit(_of_another_form)),
    "the first audit entry deleted": Plant((CHAIN, PUBLISHED), "paid", None, _edit(lambda rows: rows[1:])),
    "an audit entry in the middle deleted": Plant(
        (CHAIN, STEPS), "paid", None, _edit(lambda rows: rows[:1] + rows[2:])
    ),
    "the last audit entry deleted": Plant((CHAIN, STEPS), "paid", None, _edit(lambda rows: rows[:-1])),
    "all audit entries deleted": Plant((CHAIN, STEPS, PUBLISHED), "paid", None, _edit(lambda _: [])),
    "an audit entry deleted and the rest linked anew": Plant(
        (CHAIN, STEPS), "paid", None, _edit(lambda rows: _linked(rows[:1] + rows[2:]))
    ),
    "an audit entry inserted without hashes": Plant((ADDED,), "paid", None, _edit(lambda rows: [*rows, _new(rows[0])])),
    "an audit entry inserted at the end": Plant((ADDED,), "paid", None, _edit(_appended)),
    "an audit entry inserted and the rest linked anew": Plant(
        (CHAIN,), "paid", None, _edit(lambda rows: _linked([rows[0], _new(rows[0]), *rows[1:]]))
    ),
    "an audit entry of a later time": Plant((ADDED,), "paid", None, _edit(_in_future)),
    "an entry of a later time among those without hashes": Plant((ADDED,), "paid", _before, _edit(_in_future)),
    "audit entries whose times are swapped": Plant((CHAIN,), "paid", None, _edit(_swapped_times)),
    "audit entries linked in another order": Plant((CHAIN,), "paid", None, _edit(lambda rows: _linked(rows[::-1]))),
    "an audit entry moved to another order": Plant((CHAIN, STEPS), "paid", None, _edit(_moved)),
    "audit entries without their hashes": Plant((CHAIN,), "paid", None, _edit(_stripped)),
    "a chain whose end is not on record": Plant(
        (ADDED,), "paid", None, sql("paymentfc", "DELETE FROM audit_heads WHERE order_id = $1")
    ),
}
