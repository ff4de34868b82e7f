"""Writes log lines to a descriptor, many at a time, because a write for each line costs more than the line."""

import asyncio
import atexit
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

FLUSH_AFTER_S = 0.1
FLUSH_BYTES = 32 * 1024
# A file of which a process holds a lock while it writes, where several write to the same descriptor.
_lock: int | None = None


class LogLines:
    """Lines that wait for at most 0.1 s or 32 KiB, in the order in which they were added.

    They wait only where an event loop can write them later. What `add_now` is given is written at once, with all that
    waits before it. A process that ends by itself loses none; one that is killed loses at most those of 0.1 s.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: list[bytes] = []
        self._size = 0
        # The loop that will write what waits.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writing = threading.Lock()
        atexit.register(self.flush)

    def add(self, line: bytes) -> None:
        self._waiting.append(line)
        self._size += len(line)
        if self._size >= FLUSH_BYTES:
            self.flush()
        elif self._loop is None or self._loop.is_closed():
            self._flush_later()

    def add_now(self, line: bytes) -> None:
        self._waiting.append(line)
        self.flush()

    def flush(self) -> None:
        """Write what waits. Lines that can not be written, because no one reads them any more, are dropped."""
        with self._writing:
            lines, self._waiting, self._size = self._waiting, [], 0
            self._loop = None
            data = memoryview(b"".join(line + b"\n" for line in lines))
            try:
                with _no_other_process():
                    while data:
                        data = data[os.write(self._descriptor, data) :]
            except OSError:
                return

    def _flush_later(self) -> None:
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            # A thread, or no loop yet.
            self.flush()
        else:
            self._loop.call_later(FLUSH_AFTER_S, self.flush)


def lock_between_processes() -> None:
    """Have the lines of this process and of those that it forks from now on stay whole in a pipe that is full."""
    global _lock
    _lock = os.memfd_create("log")


@contextmanager
def _no_other_process() -> Iterator[None]:
    if _lock is None:
        yield
        return
    # A process that dies gives its lock back.
    fcntl.lockf(_lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.lockf(_lock, fcntl.LOCK_UN)
