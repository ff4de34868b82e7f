"""The ports of a stack: which are free, and which process holds one."""

import errno
import random
import socket
from pathlib import Path

import psutil

from fc.stack.errors import StackError
from fc.stack.layout import MAX_OFFSET, OBSERVERS, PORTS, Layout


def is_taken(port: int) -> bool:
    """Whether a program listens on the port of one of this machine's loopback addresses.

    `localhost` is both, and ::1 is often tried first: services would talk to a stranger.
    """
    return _is_bound(socket.AF_INET, "127.0.0.1", port) or _is_bound(socket.AF_INET6, "::1", port)


def _is_bound(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        # Without IPv6 nobody listens there.
        return family == socket.AF_INET or error.errno == errno.EADDRINUSE
    return False


def holder(port: int) -> str:
    """Name the process that listens on a port, as far as this user may see it."""
    try:
        connections = [item for item in psutil.net_connections("inet") if item.laddr and item.laddr.port == port]
    except psutil.AccessDenied:
        return "another process"
    for item in connections:
        if item.pid and item.status == psutil.CONN_LISTEN:
            try:
                return f"process {item.pid} ({' '.join(psutil.Process(item.pid).cmdline())[:100]})"
            except psutil.Error:
                return f"process {item.pid}"
    return "another process"


def refuse_taken(layout: Layout, names: set[str]) -> None:
    """Raise StackError that names every port of these parts on which another program listens."""
    taken = [name for name in sorted(names) if is_taken(layout.port(name))]
    if taken:
        lines = [f"  port {layout.port(name)} ({name}) is held by {holder(layout.port(name))}" for name in taken]
        hint = "Stop it, or shift all ports of this stack with FC_PORT_OFFSET=1000."
        raise StackError("\n".join(["The stack can't start:", *lines, hint]))


def free_offset() -> int:
    """Choose an offset at which every port is free now."""
    for _ in range(200):
        layout = Layout(Path(), random.randrange(100, MAX_OFFSET))
        if not any(is_taken(layout.port(name)) for name in PORTS | OBSERVERS):
            return layout.offset
    raise StackError("no offset was found at which all ports are free")
