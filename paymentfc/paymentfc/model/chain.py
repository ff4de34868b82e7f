"""The hash chain of the audit log: each entry carries the hash of the previous entry of its order.

Format: docs/security.md, "The audit log".
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson

FIRST = "0" * 64
"""`prev_hash` of the first entry of an order."""


def chained(document: Mapping[str, Any], prev_hash: str) -> dict[str, Any]:
    """Return an entry with `prev_hash` and `hash`."""
    linked = {**document, "prev_hash": prev_hash}
    return {**linked, "hash": sha256(_canonical(linked)).hexdigest()}


def stored_time(moment: datetime) -> datetime:
    """Return a time at the precision that MongoDB keeps: milliseconds, the rest cut off."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _canonical(document: Mapping[str, Any]) -> bytes:
    created: datetime = document["create_time"]
    time = created.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    return orjson.dumps({**document, "create_time": time}, option=orjson.OPT_SORT_KEYS)
