"""The program: it serves, keeps its data when it is killed, and names a wrong setting."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from testkit import eventually, free_port

from .conftest import KEY, TOKEN, Merchant


@contextmanager
def running(port: int, merchant: Merchant, data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the simulator as a process that is stopped at the end of the block."""
    env = {
        **os.environ,
        "XENDIT_SIM_PORT": str(port),
        "XENDIT_SIM_KEY": KEY,
        "XENDIT_SIM_CALLBACK_URL": merchant.url,
        "XENDIT_SIM_CALLBACK_TOKEN": TOKEN,
        "XENDIT_SIM_DATA": str(data),
    }
    process = subprocess.Popen([sys.executable, "-m", "xendit_sim"], env=env, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


async def answers(http: httpx2.AsyncClient) -> None:
    """Wait until the simulator answers."""

    async def there() -> bool:
        try:
            return (await http.get("/ping")).status_code == 200
        except httpx2.TransportError:
            return False

    await eventually(there, 30)


async def test_a_killed_simulator_comes_back_with_its_invoices_and_a_stopped_one_ends_cleanly(
    merchant: Merchant, tmp_path: Path
) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    async with httpx2.AsyncClient(base_url=base, auth=httpx2.BasicAuth(KEY, ""), trust_env=False) as http:
        with running(port, merchant, tmp_path / "sim.sqlite") as process:
            await answers(http)
            made = (await http.post("/v2/invoices", json={"external_id": "order-7", "amount": 5})).json()
            assert made["invoice_url"] == f"http://localhost:{port}/web/{made['id']}"
            process.send_signal(signal.SIGKILL)
        with running(port, merchant, tmp_path / "sim.sqlite") as process:
            await answers(http)
            assert (await http.get(f"/v2/invoices/{made['id']}")).json() == made
            await http.post(f"/_sim/invoices/{made['id']}/pay")
            (callback,) = await merchant.got(1)
            assert callback.headers["x-callback-token"] == TOKEN
            process.terminate()
            assert process.wait(10) in (0, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("name", "value"),
    [("XENDIT_SIM_PORT", "http"), ("XENDIT_SIM_DATA", "/nowhere/at/all/sim.sqlite"), ("XENDIT_SIM_CALLBACK_URL", "x")],
)
def test_a_wrong_setting_ends_the_program_with_one_line_that_names_it(name: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "xendit_sim"], env={**os.environ, name: value}, capture_output=True, timeout=30
    )
    assert done.returncode == 1
    assert done.stderr.decode().count("\n") == 1
    assert name in done.stderr.decode()
