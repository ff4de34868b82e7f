"""What a failed message means for the partition: what is to blame, how long to wait, and what its dead letter says."""

from dataclasses import dataclass, field
from enum import Enum

from chassis.errors import AppError, InvalidMessage, NotYet, causes, is_transient, sql_class
from chassis.events import Message
from chassis.kafka.dead_letter import MAX_ERROR
from chassis.kafka.offsets import OffsetWindow
from chassis.loops import backoff

# How long after its arrival a message is given up when it still waits for what it refers to.
NOT_YET_S = 30.0

# PostgreSQL blames the message's values only in these classes: data exception, integrity constraint violation, program
# limit exceeded (for example a text that is too long for an index).
_BLAMED_CLASSES = frozenset({"22", "23", "54"})


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

    `offsets` has its offset among those that are open. `arrived` is when it was fetched, in seconds of the partition's
    `WorkTime`. `tries` counts runs of the handler that failed, `faults` those of them in which the message was to
    blame, and `due` is when it may be tried again, in monotonic seconds. `error` is there after a failure only: to set
    it for each message would cost the many that never fail.
    """

    message: Message
    offsets: OffsetWindow
    arrived: float = 0.0
    tries: int = 0
    faults: int = 0
    due: float = 0.0
    error: str = field(init=False, repr=False, compare=False)

    @property
    def order_key(self) -> bytes | int:
        """The key that later messages wait behind. A message without a key has one of its own."""
        return self.message.raw_key or self.message.offset

    def failed(self, error: Exception, now: float, max_tries: int, not_yet_s: float) -> Verdict:
        """Count a failure that is no outage, and decide between a dead letter and another try."""
        self.tries += 1
        self.error = f"{type(error).__name__}: {error}"[:MAX_ERROR]
        if isinstance(error, InvalidMessage):
            return Verdict(dead_letter=error.reason)
        if isinstance(error, NotYet):
            left_s = not_yet_s - (now - self.arrived)
            if left_s <= 0:
                return Verdict(dead_letter="not_yet")
            return Verdict(retry_after=min(backoff(self.tries - self.faults, 0.5, 4.0), left_s))
        self.faults += 1
        if self.faults >= max_tries:
            return Verdict(dead_letter="handler_failed")
        return Verdict(retry_after=backoff(self.faults, 0.2, 5.0))


def is_outage(error: Exception) -> bool:
    """Whether the failure says nothing about the message, so that the partition waits and nothing is lost.

    That is a dependency that is down, and every answer of PostgreSQL about itself or about other transactions: disk
    full, a password that has changed, a table that is missing, a deadlock.
    """
    for cause in causes(error):
        if isinstance(cause, InvalidMessage | NotYet | AppError):
            return isinstance(cause, AppError) and is_transient(cause)
        if (sqlstate_class := sql_class(cause)) is not None:
            return sqlstate_class not in _BLAMED_CLASSES or is_transient(cause)
    return is_transient(error)
