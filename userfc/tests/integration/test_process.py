"""userfc as a process: it migrates, serves HTTP and gRPC, stops in order, and logs no secret."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2

from chassis.grpc.users import UserClient
from testkit import eventually, free_port

CREDENTIAL = "a credential of this test"


async def test_the_service_migrates_serves_and_stops(
    make_database: Callable[[str], Awaitable[dict[str, Any]]], redis_server: dict[str, Any], tmp_path: Path
) -> None:
    http, rpc = free_port(), free_port()
    settings = {**await make_database("chassis"), **redis_server, "http_host": "127.0.0.1", "http_port": http}
    settings |= {"grpc_port": rpc, "grpc_credentials": CREDENTIAL, "jwt_secret": "s" * 40}
    settings |= {"admin_email": "root@example.com", "admin_password": "root password"}
    environment = {**os.environ, **{name.upper(): str(value) for name, value in settings.items()}}
    command = [sys.executable, "-m", "userfc"]
    await asyncio.to_thread(subprocess.run, [*command, "migrate"], env=environment, check=True, cwd=tmp_path)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, "serve"], env=environment, stdout=log, stderr=log, cwd=tmp_path)
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{http}") as client:

            async def ready() -> bool:
                try:
                    return (await client.get("/ready")).status_code == 200
                except httpx2.TransportError:
                    return False

            await eventually(ready, 60)
            body = {"email": "root@example.com", "password": "root password"}
            forged = {"X-Forwarded-For": "6.6.6.6"}
            token = (await client.post("/v1/login", json=body, headers=forged)).json()["token"]
            users = UserClient(f"127.0.0.1:{rpc}", CREDENTIAL)
            assert await users.validate_token(token)
            assert (await users.get_user(1)).role == "admin"
            await client.post("/v1/logout", headers={"Authorization": f"Bearer {token}"})
            assert not await users.validate_token(token)
            await users.close()
        process.terminate()
        assert await asyncio.to_thread(process.wait, 20) == 0
    finally:
        process.kill()
    output = (tmp_path / "log").read_text()
    assert token not in output
    assert "root password" not in output
    assert CREDENTIAL not in output
