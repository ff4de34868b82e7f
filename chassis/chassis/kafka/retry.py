"""What a failed message means for the partition: what is to blame, how long to wait, and what its dead letter says."""

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
    """The result of one attempt: done (applied or dead-lettered), to be tried later, or stopped before either."""

    DONE = "done"
    LATER = "later"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The next step for a failed message: a dead letter with this reason, or another try after so many seconds."""

    dead_letter: str | None = None
    retry_after: float = 0.0


@dataclass(slots=True)
class Attempt:
    """A message and its failures.

    `tries` counts runs of the handler that failed, `faults` those of them in which the message was to blame, `early_s`
    the seconds that it has waited for what it refers to (an outage or a queue in between counts for nothing), and `due`
    is when it may be tried again, in monotonic seconds.
    """

    message: Message
    tries: int = 0
    faults: int = 0
    early_s: float = 0.0
    due: float = 0.0

    def failed(self, error: Exception, max_tries: int, not_yet_s: float) -> Verdict:
        """Count a failure that is no outage, and decide between a dead letter and another try."""
        self.tries += 1
        if isinstance(error, InvalidMessage):
            return Verdict(dead_letter=error.reason)
        if isinstance(error, NotYet):
            if self.early_s >= not_yet_s:
                return Verdict(dead_letter="not_yet")
            wait_s = backoff(self.tries - self.faults, 0.5, 4.0)
            self.early_s += wait_s
            return Verdict(retry_after=wait_s)
        self.faults += 1
        if self.faults >= max_tries:
            return Verdict(dead_letter="handler_failed")
        return Verdict(retry_after=backoff(self.faults, 0.2, 5.0))

    def dead_letter(self, reason: str, error: Exception, handler: str) -> list[tuple[str, bytes]]:
        """Return the headers of the dead letter: the message's own, then the reason and the place of the failure."""
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
        original = [(name, value) for name, value in message.raw_headers if name not in added]
        return [*original, *((name, value.encode()) for name, value in added.items())]


def is_outage(error: Exception) -> bool:
    """Whether the failure says nothing about the message, so that the partition waits and nothing is lost.

    That is a dependency that is down, and every answer of PostgreSQL about itself or about other transactions: disk
    full, a password that has changed, a table that is missing, a deadlock.
    """
    for cause in causes(error):
        if isinstance(cause, InvalidMessage | NotYet | AppError):
            return isinstance(cause, AppError) and is_transient(cause)
        if (sqlstate_class := sql_class(cause)) is not None:
            return sqlstate_class not in _BLAMED_CLASSES
    return is_transient(error)
