"""The lock of a stack's folder: two commands at once would start or stop each other's processes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from fc.stack.errors import StackError


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the lock of the stack in this folder. Raises StackError when another process holds it, or none can."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        opened = (home / "lock").open("a+")
    except OSError as error:
        raise StackError(f"{home} can't be the stack's folder ({error.strerror}): FC_HOME chooses another") from None
    with opened as file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise StackError(f"another fc command works on {home} (process {file.read().strip()})") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
