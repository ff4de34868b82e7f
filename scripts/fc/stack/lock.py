"""The lock of a stack's folder: two commands at once would start or stop each other's processes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from fc.stack.errors import StackError


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the lock of the stack in this folder. Raises StackError when another process holds it."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a+") as file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise StackError(f"another fc command works on {home} (process {file.read().strip()})") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
