"""The servers of a test session end with it, however it ends."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from testkit import eventually

SESSION = """
import pathlib, signal, sys
from testkit.servers import Servers
Servers(pathlib.Path(sys.argv[1])).redis()
print("ready", flush=True)
signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_the_servers_of_a_session_that_is_killed_do_not_outlive_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    session = subprocess.Popen([sys.executable, "-c", SESSION, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert session.stdout
    assert session.stdout.readline() == "ready\n"
    started = psutil.Process(session.pid).children(recursive=True)
    assert any("redis-server" in " ".join(process.cmdline()) for process in started)
    session.send_signal(number)
    session.communicate(timeout=30)
    await eventually(lambda: not any(process.is_running() for process in started), 30, 0.1)
