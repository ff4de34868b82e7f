"""Ports for the servers of tests.

They lie below the ports that the system gives to outgoing connections, so that no connection takes the port of a server
that is about to start or to start again. Each process has a block of its own: runs side by side never meet.
"""

import fcntl
import itertools
import os
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

# The ports of a local stack with an offset lie below and above: fc.stack.layout.
FIRST, LAST = 10_240, 24_063
BLOCK = 512


def free_port() -> int:
    return next(port for port in _ports() if _is_free(port))


def free_port_pair() -> int:
    """Return a port that is free together with the next one, on which Kafka's controller listens."""
    return next(port for port in _ports() if next(_ports()) == port + 1 and _is_free(port) and _is_free(port + 1))


def _is_free(port: int) -> bool:
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


@cache
def _ports() -> Iterator[int]:
    """Return the ports of a block that no other process has, in order and again from the first."""
    for first in range(FIRST, LAST, BLOCK):
        # The lock ends with the process; a file that stays behind is harmless.
        path = Path(tempfile.gettempdir()) / f"go-commerce-{os.getuid()}-ports-{first}"
        lock = os.open(path, os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return itertools.cycle(range(first, first + BLOCK))
    raise RuntimeError(f"every block of ports from {FIRST} to {LAST} is used by another run of tests")
