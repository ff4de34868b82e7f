"""What a process says and how it ends when it can't begin: one sentence, no traceback, and an end on SIGTERM."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from chassis.config.settings import load
from chassis.errors import Refused
from chassis.kafka.topics import ensure_topics
from orderfc.config import Settings
from testkit import eventually, free_port

Make = Callable[[str], Awaitable[dict[str, Any]]]


def environment(**settings: object) -> dict[str, str]:
    return {**os.environ, **{name.upper(): str(value) for name, value in settings.items()}}


async def ended(command: str, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "orderfc", command]
    return await asyncio.to_thread(
        subprocess.run, words, env=given, capture_output=True, text=True, timeout=90, check=False
    )


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"db_password": "wrong"}, 'password authentication failed for user "'),
        ({"db_user": "nobody"}, 'password authentication failed for user "nobody"'),
        ({"db_name": "nowhere"}, 'database "nowhere" does not exist'),
    ],
)
async def test_migrate_says_in_one_sentence_what_the_database_refuses(
    make_database: Make, changed: dict[str, str], says: str
) -> None:
    given = {**await make_database("chassis"), **changed}
    done = await ended("migrate", environment(**given))
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"orderfc: PostgreSQL at {given['db_host']}:{given['db_port']}: {says}")


async def test_topics_says_in_one_sentence_that_replicas_are_missing(kafka_broker: str) -> None:
    done = await ended("topics", environment(kafka_broker=kafka_broker, kafka_replication=3))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"orderfc: Kafka at {kafka_broker}: ")


async def test_topics_without_a_broker_end_with_a_sentence() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(Refused, match=f"Kafka at {address} has not answered for 1 s"):
        await ensure_topics(load(Settings, kafka_broker=address), ["orders"], deadline_s=1)


def first_process() -> list[str]:
    """Return the words that make the command after them process 1 of a namespace, where that is allowed."""
    words = ["unshare", "--fork", "--pid", "--kill-child"]
    allowed = (
        shutil.which("unshare") and not subprocess.run([*words, "true"], capture_output=True, check=False).returncode
    )
    return words if allowed else []


async def test_a_service_that_waits_for_vault_as_process_1_ends_on_sigterm(tmp_path: Path) -> None:
    given = environment(vault_addr=f"http://127.0.0.1:{free_port()}", vault_token="any", vault_wait_s=60)
    words = [*(prefix := first_process()), sys.executable, "-m", "orderfc", "serve"]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(words, env=given, stdout=output, stderr=output)
    try:
        await eventually(lambda: b"waiting for Vault" in log.read_bytes(), 60)
        service = psutil.Process(process.pid).children()[0] if prefix else psutil.Process(process.pid)
        service.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, 10)
    finally:
        process.kill()
        process.wait()
    [line] = log.read_text().splitlines()
    assert json.loads(line)["event"] == "waiting for Vault"
    assert json.loads(line)["service"] == "orderfc"
