"""The processes of a stack, known by an environment variable that each of them carries."""

import signal
from contextlib import suppress
from pathlib import Path

import psutil

MARK = "FC_STACK"
"""The environment variable that marks a process of a stack; its value is the stack's folder."""

TERMINATE_S = 10
KILL_S = 5


def of_stack(home: Path) -> list[psutil.Process]:
    """Return the processes that were started for the stack in this folder, whatever their parent is now."""
    marked = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(home):
                marked.append(process)
        except psutil.Error:
            continue
    return marked


def by_program(processes: list[psutil.Process]) -> dict[str, psutil.Process]:
    """Return the first process of each program, by the name that supervisord has put into its environment."""
    found: dict[str, psutil.Process] = {}
    for process in sorted(processes, key=lambda one: one.create_time(), reverse=True):
        with suppress(psutil.Error):
            if name := process.environ().get("SUPERVISOR_PROCESS_NAME"):
                found[name] = process
    return found


def end(processes: list[psutil.Process]) -> int:
    """Terminate processes and kill those that remain after ten seconds. Returns the number of processes."""
    for number, wait_s in ((signal.SIGTERM, TERMINATE_S), (signal.SIGKILL, KILL_S)):
        for process in processes:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        _, alive = psutil.wait_procs(processes, timeout=wait_s)
        if not alive:
            break
    return len(processes)
