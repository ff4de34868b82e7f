"""The bench as `make bench` calls it, at its smallest pace: two rows and their floors, on a stack of its own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="only make bench needs wrk: make tools"),
]
FLOORS = {"ping": "raw", "checkout": "pgbench"}


def test_the_bench_measures_a_read_and_checkouts_beside_their_floors_and_ends_with_an_exact_audit(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "bench.speed", "run", "--pace", "tiny", "--only", ",".join(FLOORS)]
    done = subprocess.run(
        [*command, "--record", str(tmp_path)], capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [file] = tmp_path.glob("*.json")
    result = json.loads(file.read_text(encoding="utf-8"))
    assert (result["errors"], result["audits"]) == ({}, {"": []})
    rows = result["rows"][""]
    assert {name: row["floor"]["name"] for name, row in rows.items()} == FLOORS
    for row in rows.values():
        assert row["figures"]["rate"]["median"] > 0
        assert row["floor"]["rate"] > 0
        assert row["cpu_us"]["productfc"] > 0
