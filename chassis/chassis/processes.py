"""The processes of a service that answer HTTP on one port. The first has the background work and is their parent."""

import asyncio
import gc
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

from chassis import log_lines, logging
from chassis.config.settings import ProcessSettings
from chassis.http import peers
from chassis.http.peers import Peer

# How long the other processes may take to end when the first could not start.
CLOSE_S = 5
CLOSE_POLL_S = 0.02
# As uvicorn.
BACKLOG = 2048


class ProcessEnded(Exception):
    """A process of this service ended by itself, or with an error."""


class Child:
    """A process that was forked by this one. As a part of the service it ends when that process does.

    The process stops when this end of `connection` is closed, so it does not outlive its parent either.
    """

    def __init__(self, name: str, pid: int, connection: socket.socket) -> None:
        self.name = name
        self.pid = pid
        self._connection = connection
        self._status: int | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Watch the process, and stop it when asked. Raises ProcessEnded; cancelled, it kills the process."""
        ended = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(self._connection, 1))
        asked = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
            by_itself = not stop.is_set()
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)
                await ended
        except asyncio.CancelledError:
            os.kill(self.pid, signal.SIGKILL)
            raise
        finally:
            asked.cancel()
            ended.cancel()
            status = self._reap()
        if by_itself or status:
            raise ProcessEnded(f"{self.name} (pid {self.pid}) ended with {status}")

    def hang_up(self) -> None:
        """Let the process stop, if it runs."""
        self._connection.close()

    def wait(self, deadline: float) -> None:
        """Wait until the process has ended; at `deadline`, in time.monotonic(), it is killed."""
        while self._status is None:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                self._reap()
            elif (found := os.waitpid(self.pid, os.WNOHANG))[0]:
                self._status = os.waitstatus_to_exitcode(found[1])
            else:
                time.sleep(CLOSE_POLL_S)

    def _reap(self) -> int:
        """Return the exit code, negative for a signal. The process has ended, or does so now."""
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status


@dataclass(frozen=True)
class Group:
    """What a process knows of the others. `Group()` is a process alone, which opens its port itself."""

    number: int = 1
    listeners: Sequence[socket.socket] | None = None
    control: socket.socket | None = None
    peers: Sequence[Peer] = ()
    children: Sequence[Child] = ()
    # A descriptor, which ends with the process and not before: the first one then has nothing to wait for.
    parent: int | None = None
    # How long this process may live when the first has ended.
    outlives_s: float = 0

    @property
    def is_first(self) -> bool:
        return self.number == 1

    def set_on_stop(self, stop: asyncio.Event) -> None:
        """Set `stop` on SIGTERM and SIGINT; in the others when the first process says so, or has ended."""
        loop = asyncio.get_running_loop()
        if self.parent is None:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stop.set)
            return
        parent = self.parent
        threading.Thread(target=_end_late, args=(parent, self.outlives_s), name="parent", daemon=True).start()

        def ended() -> None:
            loop.remove_reader(parent)
            stop.set()

        loop.add_reader(parent, ended)

    def close(self) -> None:
        """End the other processes that run, and wait for them: at most 5 s, then they are killed."""
        for child in self.children:
            child.hang_up()
        deadline = time.monotonic() + CLOSE_S
        for child in self.children:
            child.wait(deadline)


ALONE = Group()


def _end_late(parent: int, outlives_s: float) -> None:
    """End this process when it has not stopped in time after the first one: its event loop hangs, and holds the port.

    Without a line of the log, whose lock it may hang in.
    """
    ends = select.poll()
    ends.register(parent, select.POLLIN)
    ends.poll()
    time.sleep(outlives_s)
    os.kill(os.getpid(), signal.SIGKILL)


def fork(settings: ProcessSettings) -> Group:
    """Start HTTP_PROCESSES - 1 further processes, and return in each of them. Needs a process without threads.

    Exits with a sentence when the port is taken.
    """
    try:
        listeners = _listen(settings.http_host, settings.http_port, settings.http_processes)
    except OSError as error:
        sys.exit(f"{settings.service}: can't listen on {settings.http_host}:{settings.http_port}: {error.strerror}")
    controls = [peers.listen() for _ in range(settings.http_processes)]
    known = [Peer(f"process {number}", control.getsockname()) for number, control in enumerate(controls, start=1)]
    pairs = [socket.socketpair() for _ in known[1:]]
    log_lines.lock_between_processes()
    # The collector would write to memory that the processes share.
    gc.freeze()
    children = []
    for index, (ours, _) in enumerate(pairs, start=1):
        pid = os.fork()
        if pid == 0:
            return _child(index, listeners, controls, known, pairs, settings.shutdown_timeout_s)
        children.append(Child(known[index].name, pid, ours))
    logging.direct.process = 1
    for one in (*chain(*listeners[1:]), *controls[1:], *(theirs for _, theirs in pairs)):
        one.close()
    for ours, _ in pairs:
        ours.setblocking(False)
    return Group(1, listeners[0], controls[0], known[1:], children)


def _child(
    index: int,
    listeners: Sequence[list[socket.socket]],
    controls: Sequence[socket.socket],
    known: Sequence[Peer],
    pairs: Sequence[tuple[socket.socket, socket.socket]],
    outlives_s: float,
) -> Group:
    """Keep what belongs to this process. With a copy of the first one's sockets it would not see that one end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # They come to all processes of a terminal or of a container; the first decides. Ignored, they would stay
        # ignored in programs that this process starts.
        signal.signal(number, lambda _number, _frame: None)
    logging.direct.process = index + 1
    parent = pairs[index - 1][1]
    ours = (parent, controls[index], *listeners[index])
    for one in (*chain(*pairs), *controls, *chain(*listeners)):
        if one not in ours:
            one.close()
    others = [*known[:index], *known[index + 1 :]]
    return Group(index + 1, listeners[index], controls[index], others, parent=parent.detach(), outlives_s=outlives_s)


def _listen(host: str, port: int, processes: int) -> list[list[socket.socket]]:
    """Return the listeners of each process: one on each address of the host. Raises OSError when the port is taken.

    Connections that come before a process runs wait for it.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = [(one[0], one[4]) for one in dict.fromkeys(found)]
    for family, address in addresses:
        # With SO_REUSEPORT alone another service of the same user would get a share of the connections.
        _bound(family, address).close()
    listeners = [[_bound(family, address, shared=True) for family, address in addresses] for _ in range(processes)]
    for one in chain(*listeners):
        one.listen(BACKLOG)
    return listeners


def _bound(family: int, address: Any, *, shared: bool = False) -> socket.socket:
    result = socket.socket(family)
    result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        result.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        result.bind(address)
    except OSError:
        result.close()
        raise
    return result
