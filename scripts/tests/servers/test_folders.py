"""Servers in a folder whose name has letters outside ASCII: they start, stay within it, and start again."""

import os
import subprocess
from pathlib import Path

import pytest

from servers.base import Missing, Server
from servers.kafka import Kafka
from servers.mongo import Mongo
from servers.redis import Redis
from testkit import eventually
from testkit.ports import free_port_pair

# Within Latin-1, beyond it, beyond the Basic Multilingual Plane; a blank, and what .properties files give a meaning to.
NAME = "Büro ☕ 𝛑 = a:b #1 !"


async def run_once(server: Server) -> None:
    """Start a server in a POSIX locale, wait until it answers, and stop it."""
    server.prepare()
    environment = {**os.environ, "LC_ALL": "C", **server.environment}
    with (server.home.parent / "log").open("ab") as log:
        process = subprocess.Popen(server.command(), env=environment, stdout=log, stderr=log, cwd="/")
    try:
        await eventually(server.ready, 90, 0.1)
    finally:
        process.send_signal(server.stop_signal)
        process.wait(30)


@pytest.mark.parametrize("kind", [Kafka, Redis, Mongo])
async def test_a_server_starts_twice_in_a_folder_with_any_letters(tmp_path: Path, kind: type[Server]) -> None:
    folder = tmp_path / NAME
    for _ in range(2):
        await run_once(kind(folder / "server", free_port_pair()))
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert {path.name for path in folder.iterdir()} == {"server", "log"}
    assert any((folder / "server").iterdir())


def test_a_comma_which_kafka_can_not_take_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="Kafka takes no comma in a path"):
        Kafka(tmp_path / "a,b", 1).prepare()
