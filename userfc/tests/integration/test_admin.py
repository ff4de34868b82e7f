"""The administrator of the settings exists, whoever registered the address before and however many replicas start."""

import asyncio
from collections.abc import Callable
from typing import Any

import bcrypt
import pytest
from pydantic import SecretStr

from chassis.db import migrations
from testkit import eventually, free_port
from userfc.app import SERVICE
from userfc.config import Settings

from .conftest import Userfc, new_email, opened


def with_admin(settings: Settings, email: str, password: str) -> Settings:
    return settings.model_copy(update={"admin_email": email, "admin_password": SecretStr(password)})


async def info(userfc: Userfc, email: str, password: str) -> dict[str, Any]:
    """Sign in and read the user."""
    status, answer = await userfc.login(email, password)
    assert status == 200, answer
    return (await userfc.call("GET", "/v1/user-info", answer["token"]))[1]


async def test_the_administrator_exists_before_the_first_request_and_stays_the_same(settings: Settings) -> None:
    email = new_email()
    async with opened(with_admin(settings, email, "first password")) as userfc:
        admin = await info(userfc, email, "first password")
        assert admin == {"id": admin["id"], "name": "Administrator", "email": email, "role": "admin"}
        stored = await userfc.execute("SELECT password_hash FROM users WHERE email = $1", email)
    async with opened(with_admin(settings, email, "first password")) as userfc:
        assert await userfc.execute("SELECT password_hash FROM users WHERE email = $1", email) == stored
        assert (await info(userfc, email, "first password"))["id"] == admin["id"]


async def test_a_changed_password_in_the_settings_is_the_administrators_password(settings: Settings) -> None:
    email = new_email()
    async with opened(with_admin(settings, email, "first password")):
        pass
    async with opened(with_admin(settings, email, "second password")) as userfc:
        assert (await userfc.login(email, "first password"))[0] == 401
        assert (await info(userfc, email, "second password"))["role"] == "admin"


@pytest.mark.parametrize("legacy", [False, True])
async def test_who_took_the_address_first_does_not_become_administrator(
    settings: Settings, userfc: Userfc, legacy: bool
) -> None:
    email = await userfc.register(password="squatter password")
    if legacy:
        stored = bcrypt.hashpw(b"squatter password", bcrypt.gensalt(4, b"2a")).decode()
        await userfc.execute("UPDATE users SET password_hash = $2 WHERE email = $1", email, stored)
    async with opened(with_admin(settings, email, "admin password")) as started:
        assert (await started.login(email, "squatter password"))[0] == 401
        assert (await info(started, email, "admin password"))["role"] == "admin"


async def test_replicas_that_start_at_once_make_one_administrator(settings: Settings, userfc: Userfc) -> None:
    email = new_email()
    one = with_admin(settings, email, "admin password")
    replicas = await asyncio.gather(
        *(SERVICE.open(one.model_copy(update={"grpc_port": free_port()}), workers=False) for _ in range(4))
    )
    for process in replicas:
        for close in process.close:
            await close()
    assert await userfc.execute("SELECT count(*) FROM users WHERE email = $1 AND role = 'admin'", email) == 1
    assert (await info(userfc, email, "admin password"))["role"] == "admin"


@pytest.mark.parametrize("half", ["admin_email", "admin_password"])
async def test_one_of_the_two_settings_alone_creates_no_administrator(
    settings: Settings, userfc: Userfc, half: str
) -> None:
    value = {"admin_email": new_email(), "admin_password": SecretStr("admin password")}[half]
    before = await userfc.execute("SELECT count(*) FROM users")
    async with opened(settings.model_copy(update={half: value})) as started:
        assert (await started.call("GET", "/ready"))[0] == 200
    assert await userfc.execute("SELECT count(*) FROM users") == before


async def test_a_database_that_is_not_migrated_yet_is_waited_for(
    settings: Settings, make_database: Callable[[str], Any]
) -> None:
    empty = settings.model_copy(update=_typed(await make_database("chassis")))
    email = new_email()
    async with opened(with_admin(empty, email, "admin password"), work=True) as userfc:
        status, answer = await userfc.call("GET", "/ready")
        assert (status, answer["migrations"]) == (503, "failed: not current")
        await migrations.run(empty, "userfc")

        async def ready() -> bool:
            return (await userfc.call("GET", "/ready"))[0] == 200

        await eventually(ready)
        assert (await info(userfc, email, "admin password"))["role"] == "admin"


def _typed(arguments: dict[str, Any]) -> dict[str, Any]:
    return {**arguments, "db_password": SecretStr(arguments["db_password"])}
