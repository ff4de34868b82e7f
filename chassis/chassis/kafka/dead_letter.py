"""Dead letters: what is written to `<topic>.dlq` about a message, and the smaller forms of one that is too large."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from chassis.events import Message

Headers = list[tuple[str, bytes]]

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
# The smallest form has the headers that identify the message, and its key, if they are not longer than this.
_KEPT = frozenset({"ce_id", "ce_source", "ce_type", "ce_time", "traceparent"})
_KEPT_BYTES = 255
# Characters of an error, which may quote the message.
MAX_ERROR = 500


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One form of a dead letter."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def forms(message: Message, reason: str, error: Exception, handler: str, tries: int) -> Iterator[DeadLetter]:
    """Yield forms of a dead letter, from large to small: whole, without its value, without all that may be long."""
    added = _added(message, reason, error, handler, tries)
    original = [(name, value) for name, value in message.raw_headers if name not in dict(added)]
    # aiokafka sends no record that has neither key nor value.
    value = b"" if message.value is None and message.raw_key is None else message.value
    yield DeadLetter(message.raw_key, value, [*original, *added])
    added += _summary("value", message.value)
    yield DeadLetter(message.raw_key, b"", [*original, *added])
    key = message.raw_key
    if key is not None and len(key) > _KEPT_BYTES:
        added += _summary("key", key)
        key = None
    kept = [(name, data) for name, data in original if name.lower() in _KEPT and len(data) <= _KEPT_BYTES]
    added.append(("x-headers-dropped", str(len(original) - len(kept)).encode()))
    yield DeadLetter(key, b"", [*kept, *added])


def _added(message: Message, reason: str, error: Exception, handler: str, tries: int) -> Headers:
    """Return the headers with the reason and the place of the failure."""
    first, last = message.offset, message.offset
    if message.unreadable is not None:
        first, last, _ = message.unreadable
    added = {
        "x-reason": reason,
        "x-error": str(error)[:MAX_ERROR],
        "x-source-topic": message.topic,
        "x-source-partition": str(message.partition),
        "x-source-offset": str(first),
        "x-handler": handler,
        "x-attempts": str(tries),
        "x-failed-at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }
    if last != first:
        added["x-source-last-offset"] = str(last)
    if not message.headers.get("ce_id"):
        # Its derived id, which a replay at another place must keep.
        added["x-event-id"] = message.event_id
    return [(name, value.encode(errors="replace")) for name, value in added.items()]


def _summary(part: str, data: bytes | None) -> Headers:
    if data is None:
        return []
    return [(f"x-{part}-length", str(len(data)).encode()), (f"x-{part}-sha256", sha256(data).hexdigest().encode())]
