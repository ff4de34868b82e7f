"""Looks at the machine's processes: who holds a port, and which processes belong to a stack."""

import signal
import socket
from pathlib import Path

import psutil

MARK = "FC_STACK"
"""The environment variable that every process of a stack carries; its value is the stack's folder."""

ASK_S = 10
INSIST_S = 5


def is_taken(port: int) -> bool:
    """Tell whether something listens on the port of this machine's loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def holder(port: int) -> str:
    """Say which process listens on a port, as far as this user may know."""
    try:
        found = [item for item in psutil.net_connections("inet") if item.laddr and item.laddr.port == port]
    except psutil.AccessDenied:
        return "another process"
    for item in found:
        if item.pid and item.status == psutil.CONN_LISTEN:
            try:
                return f"process {item.pid} ({' '.join(psutil.Process(item.pid).cmdline())[:100]})"
            except psutil.Error:
                return f"process {item.pid}"
    return "another process"


def of_stack(home: Path) -> list[psutil.Process]:
    """Find the processes that were started for the stack in this folder, whoever their parent is now."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(home):
                found.append(process)
        except psutil.Error:
            continue
    return found


def end(processes: list[psutil.Process]) -> int:
    """End processes: ask, and insist after ten seconds. Returns how many there were."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        _, alive = psutil.wait_procs(processes, timeout=ASK_S if number is signal.SIGTERM else INSIST_S)
        if not alive:
            break
    return len(processes)
