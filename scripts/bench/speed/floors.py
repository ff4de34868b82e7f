"""The floors: what the same work costs without a service."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.speed.errors import Unmeasured
from bench.speed.load import http_request, wrk
from bench.speed.processes import answers_200, wait_until
from bench.speed.side import Side
from servers.postgres import Postgres
from testkit.ports import free_port

CHECKOUT = Path(__file__).with_name("checkout.sql")
FLOOR_DATABASE = "bench_floor"
CLIENTS = 8
_TPS = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)


@contextmanager
def raw_server(side: Side) -> Iterator[int]:
    """Run uvicorn with an application that only answers; yield its port."""
    port = free_port()
    side.processes.start("raw", [sys.executable, "-m", "bench.speed.raw", str(port)], {})
    try:
        wait_until(lambda: side.processes.alive("raw") and answers_200(f"http://127.0.0.1:{port}/"), "no answer", 15)
        yield port
    finally:
        side.processes.stop("raw", 15)


def raw(side: Side, seconds: float, connections: int) -> float:
    """Return the requests a second of uvicorn with an application that only answers."""
    with raw_server(side) as port:
        return wrk(port, [http_request("GET", "/")], connections, seconds=seconds).rate


def pgbench(server: Mapping[str, str], database: str, script: Path, seconds: float) -> float:
    """Run a script with eight clients. Raises Unmeasured."""
    program = Postgres(Path(), 0).binaries() / "pgbench"
    if not program.exists():
        raise Unmeasured(f"there is no {program}: install postgresql-contrib")
    command = [str(program), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(max(round(seconds), 1))]
    done = subprocess.run(
        [*command, "-f", str(script), database],
        env={**os.environ, **server},
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        check=False,
    )
    if done.returncode:
        raise Unmeasured(f"pgbench failed: {done.stderr.strip()[-500:]}")
    return read_tps(done.stdout)


def read_tps(output: str) -> float:
    """Read the transactions a second. Raises Unmeasured without them."""
    found = _TPS.search(output)
    if found is None:
        raise Unmeasured(f"pgbench gave no result: {output.strip()[-300:]}")
    return float(found[1])


def argon2(seconds: float) -> float:
    """Return the password checks a second of two threads."""
    command = [sys.executable, "-m", "bench.speed.hashing", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True)
    return float(done.stdout)
