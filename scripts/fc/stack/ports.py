"""The ports of a stack: which are free, and which process holds one."""

import random
import socket

import psutil

from fc.stack.errors import StackError
from fc.stack.layout import PORTS, Layout


def is_taken(port: int) -> bool:
    """Whether a program listens on the port of this machine's loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
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
        # Below the range from which the system takes ports for outgoing connections, as far as that is possible.
        offset = random.randrange(100, 3_500)
        if not any(is_taken(port + offset) for port in PORTS.values()):
            return offset
    raise StackError("no offset was found at which all ports are free")
