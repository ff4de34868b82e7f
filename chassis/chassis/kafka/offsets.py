"""The offsets of one partition: which are open, how far the group's offset may move, and the commit that moves it."""

import asyncio

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

log = structlog.get_logger(__name__)

COMMIT_TIMEOUT_S = 5


class OffsetWindow:
    """The offsets from the oldest open message on. The committed offset stays below that message."""

    def __init__(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> None:
        self._consumer = consumer
        self._partition = partition
        self._done: dict[int, bool] = {}
        self._position: int | None = None
        self.committed: int | None = None
        self._committing: tuple[asyncio.Future[None], int] | None = None

    def __len__(self) -> int:
        return len(self._done)

    def open(self, offset: int) -> None:
        """Add a message's offset. Offsets come in ascending order."""
        if self.committed is None:
            # Fetching starts at the offset that the group has committed.
            self.committed = offset
        self._done[offset] = False

    def finish(self, offset: int) -> None:
        self._done[offset] = True

    def advance(self) -> int | None:
        """Remove the offsets that are done, up to the oldest open one. Return the offset to commit, None at first."""
        for offset, done in list(self._done.items()):
            if not done:
                break
            del self._done[offset]
            self._position = offset + 1
        return self._position

    async def commit(self) -> None:
        """Commit the position that `advance` returns. Raises IllegalStateError when the partition has another owner."""
        position = self.advance()
        while position is not None and position != self.committed:
            if not await self._commit_once(position):
                return

    async def _commit_once(self, position: int) -> bool:
        """Commit, or wait for the commit under way. False when it is still unanswered, or has failed."""
        if self._committing is None:
            # Never cancelled: aiokafka goes on with a commit whose caller has gone, and its exception would be lost.
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
