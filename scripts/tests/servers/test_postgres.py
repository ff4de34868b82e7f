"""PostgreSQL after a restart of the machine, and as root in a container."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from servers.postgres import Postgres
from testkit import eventually, free_port

PREPARE = "import pathlib, sys; from servers.postgres import Postgres; Postgres(pathlib.Path(sys.argv[1]), 1).prepare()"


@contextmanager
def running(command: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd="/")
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


async def test_the_lock_of_a_killed_server_whose_process_id_another_program_has_hinders_no_start(
    tmp_path: Path,
) -> None:
    server, log = Postgres(tmp_path / "server", free_port(), durable=False), tmp_path / "log"
    server.prepare()
    command = server.command()
    as_owner = command[: command.index(str(server.binaries() / "postgres"))]
    lock = server.home / "data" / "postmaster.pid"
    with running([*as_owner, "sleep", "300"], log) as other:
        lock.write_text(f"{other.pid}\n{server.home / 'data'}\n1700000000\n{server.port}\n\n127.0.0.1\n")
        server.prepare()
        with running(command, log) as process:
            await eventually(server.ready, 60, 0.1)
            held = lock.read_text()
            assert held.split()[0] == str(process.pid)
            # One that runs keeps its lock.
            server.prepare()
            assert lock.read_text() == held


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone changes the user")
def test_root_in_a_container_makes_a_cluster_without_the_right_to_pass_private_folders() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        done = subprocess.run(
            ["setpriv", "--bounding-set=-dac_read_search", "--", sys.executable, "-c", PREPARE, f"{folder}/server"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert (Path(folder) / "server" / "data" / "PG_VERSION").exists()
