"""The offsets of one partition: which are open, how far the group's offset may move, and the commit that moves it."""

import asyncio
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

log = structlog.get_logger(__name__)

COMMIT_TIMEOUT_S = 5
# A partition whose position is being reset has none until the broker answers.
POSITION_TIMEOUT_S = 0.5


class OffsetWindow:
    """The offsets of the open messages. The committed offset stays below the oldest of them.

    Those that are done are not kept: all below the next one that are not open are done.
    """

    def __init__(self, consumer: AIOKafkaConsumer, partition: TopicPartition, committed: int | None = None) -> None:
        self._consumer = consumer
        self._partition = partition
        # Ascending: a dict keeps the order of insertion.
        self._open: dict[int, None] = {}
        self._next: int | None = None
        self.committed = committed
        self._committing: tuple[asyncio.Future[None], int] | None = None

    def opened(self, offset: int) -> "OffsetWindow":
        """Add a message's offset to this window, or to a new one when it comes again, and return that window.

        It comes again when the log was cut off or the topic made anew. What waits has the former window.
        """
        window = self
        if self._next is not None and offset < self._next:
            log.warning("the log begins again", topic=self._partition.topic, offset=offset, expected=self._next)
            window = OffsetWindow(self._consumer, self._partition, self.committed)
        window.open(offset)
        return window

    def open(self, offset: int) -> None:
        """Add a message's offset. Offsets come in ascending order."""
        if self.committed is None:
            # Fetching starts at the offset that the group has committed.
            self.committed = offset
        self._open[offset] = None
        self._next = offset + 1

    def finish(self, offset: int) -> None:
        del self._open[offset]

    async def pass_markers(self) -> None:
        """Move past what is no message: markers of transactions, and what was aborted. Only while nothing is open.

        Otherwise they would count as lag until the next message. Raises IllegalStateError as `commit` does.
        """
        if self._open:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(POSITION_TIMEOUT_S):
                self._next = max(int(await self._consumer.position(self._partition)), self._next or 0) or None

    def position(self) -> int | None:
        """Return the offset to commit, None before the first message."""
        return next(iter(self._open), self._next)

    async def commit(self) -> None:
        """Commit the position. Raises IllegalStateError when the partition has another owner."""
        position = self.position()
        while position is not None and position != self.committed:
            if not await self._commit_once(position):
                return

    async def _commit_once(self, position: int) -> bool:
        """Commit, or wait for the commit under way. Returns False if it is still unanswered, or has failed."""
        if self._committing is None:
            # Never cancelled: aiokafka would continue the commit without a caller, and its exception would be lost.
            task = asyncio.ensure_future(self._consumer.commit({self._partition: position}))
            task.add_done_callback(_retrieve_exception)
            self._committing = task, position
        task, position = self._committing
        await asyncio.wait({task}, timeout=COMMIT_TIMEOUT_S)
        if not task.done():
            log.warning("offset not committed yet", error="no answer")
            return False
        self._committing = None
        try:
            task.result()
        except CommitFailedError as error:
            raise IllegalStateError("the partition was taken over") from error
        except IllegalStateError:
            raise
        except KafkaError as error:
            # The work is done and the inbox remembers it; the next commit moves the offset for this one too.
            log.warning("offset not committed yet", error=str(error))
            return False
        self.committed = position
        return True


def _retrieve_exception(commit: asyncio.Future[None]) -> None:
    """Mark the commit's exception as retrieved: its worker may have ended before it failed."""
    if not commit.cancelled():
        commit.exception()
