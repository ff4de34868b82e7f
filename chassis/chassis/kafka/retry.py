"""What a failed message means for the partition: who is to blame, how long to wait, and what its dead letter says."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from chassis.errors import AppError, InvalidMessage, NotYet, causes, is_transient, sql_class
from chassis.events import Message
from chassis.loops import backoff

# How long a message waits in all for what it refers to.
NOT_YET_S = 30.0

# PostgreSQL blames the message's values only in these classes: data exception, integrity constraint violation.
_BLAMED_CLASSES = frozenset({"22", "23"})


class Outcome(Enum):
    """What became of one attempt."""

    DONE = "done"
    LATER = "later"
    STOPPED = "stopped"


@dataclass(slots=True)
class Attempt:
    """A message on its way.

    `tries` counts runs of the handler that failed, `faults` those of them in which the message was to blame, `early_s`
    the seconds that it has waited for what it refers to (an outage or a queue in between counts for nothing), and `due`
    is when it may be tried again, in monotonic seconds.
    """

    message: Message
    tries: int = 0
    faults: int = 0
    early_s: float = 0.0
    due: float = 0.0

    def failed(self, error: Exception, max_tries: int, not_yet_s: float) -> tuple[str | None, float]:
        """Count a failure; give the reason of the dead letter (None while there is hope) and the seconds to wait."""
        self.tries += 1
        if isinstance(error, InvalidMessage):
            return error.reason, 0.0
        if isinstance(error, NotYet):
            if self.early_s >= not_yet_s:
                return "not_yet", 0.0
            wait = backoff(self.tries - self.faults, 0.5, 4.0)
            self.early_s += wait
            return None, wait
        self.faults += 1
        return "handler_failed" if self.faults >= max_tries else None, backoff(self.faults, 0.2, 5.0)

    def dead_letter(self, reason: str, error: Exception, handler: str) -> list[tuple[str, bytes]]:
        """Make the headers of the dead letter: the message's own, and what went wrong with it where."""
        message = self.message
        added = {
            "x-reason": reason,
            "x-error": str(error)[:500],
            "x-source-topic": message.topic,
            "x-source-partition": str(message.partition),
            "x-source-offset": str(message.offset),
            "x-handler": handler,
            "x-attempts": str(self.tries),
            "x-failed-at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        }
        kept = [(name, value) for name, value in message.raw_headers if name not in added]
        return [*kept, *((name, value.encode()) for name, value in added.items())]


def is_outage(error: Exception) -> bool:
    """Tell whether the failure says nothing about the message, so that the partition waits and nothing is lost.

    That is a dependency that is down, and all that PostgreSQL answers about itself or about other transactions: disk
    full, a password that has changed, a table that is missing, a deadlock.
    """
    for seen in causes(error):
        if isinstance(seen, InvalidMessage | NotYet | AppError):
            return isinstance(seen, AppError) and is_transient(seen)
        if (found := sql_class(seen)) is not None:
            return found not in _BLAMED_CLASSES
    return is_transient(error)
