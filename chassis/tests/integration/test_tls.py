"""PostgreSQL and Redis over TLS: connected to with the right authority and name, refused with any other."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from redis.exceptions import RedisError

from chassis.config.settings import ServiceSettings, load
from chassis.db import migrations
from chassis.db.database import Database
from chassis.errors import Refused, certificate_problem
from chassis.redis.client import RedisClient
from orderfc.config import Settings as OrderSettings
from servers.base import Missing
from servers.postgres import Postgres
from testkit import Servers
from testkit.certificates import Certificates
from testkit.proxy import Proxy

# The resolver takes it for 127.0.0.1, and no certificate has this name.
OTHER_NAME = "127.1"
UNKNOWN_AUTHORITY = "its certificate is refused: unable to get local issuer certificate"
WRONG_NAME = f"its certificate is refused: Hostname mismatch, certificate is not valid for '{OTHER_NAME}'"


@pytest.fixture(scope="module")
def postgres(servers: Servers, certificates: Certificates) -> dict[str, Any]:
    """Start a PostgreSQL with TLS and return arguments for settings that check its certificate."""
    try:
        server = servers.native(Postgres, certificates.tls)
    except Missing as missing:
        pytest.skip(str(missing))
    return {
        "db_host": "localhost",
        "db_port": server.port,
        "db_user": "admin",
        "db_password": server.superuser_password,
        "db_name": "postgres",
        "db_sslmode": "verify-full",
        "db_sslrootcert": certificates.ca,
    }


async def has_tls(database: Database) -> list[bool]:
    """Return whether a connection of the pool and the relay's own have TLS."""
    question = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    async with database.driver() as pooled:
        found = [await pooled.fetchval(question)]
    own = await database.dedicated()
    try:
        return [*found, await own.fetchval(question)]
    finally:
        await own.close()


@pytest.mark.parametrize("mode", ["verify-full", "verify-ca", "require", "prefer"])
async def test_every_connection_to_postgresql_has_tls(postgres: dict[str, Any], mode: str) -> None:
    database = Database(load(ServiceSettings, **{**postgres, "db_sslmode": mode}))
    try:
        assert await has_tls(database) == [True, True]
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"db_sslrootcert": None}, UNKNOWN_AUTHORITY),
        ({"db_sslrootcert": "stranger"}, UNKNOWN_AUTHORITY),
        ({"db_sslrootcert": "stranger", "db_sslmode": "verify-ca"}, UNKNOWN_AUTHORITY),
        ({"db_sslrootcert": "stranger", "db_sslmode": "require"}, UNKNOWN_AUTHORITY),
        ({"db_host": OTHER_NAME}, WRONG_NAME),
    ],
)
async def test_a_postgresql_with_another_certificate_is_refused(
    postgres: dict[str, Any], strangers_ca: str, changed: dict[str, Any], says: str
) -> None:
    given = {**postgres, **changed}
    if given["db_sslrootcert"] == "stranger":
        given["db_sslrootcert"] = strangers_ca
    database = Database(load(ServiceSettings, **given))
    try:
        for connecting in (database.ping, database.dedicated):
            with pytest.raises(OSError, match="certificate verify failed") as refused:
                await connecting()
            assert certificate_problem(refused.value) == says
    finally:
        await database.close()


async def test_migrations_connect_over_tls_and_refuse_another_certificate_in_one_sentence(
    postgres: dict[str, Any], strangers_ca: str
) -> None:
    await migrations.run(load(OrderSettings, **postgres), "orderfc")
    with pytest.raises(Refused) as refused:
        await migrations.run(load(OrderSettings, **{**postgres, "db_sslrootcert": strangers_ca}), "orderfc")
    assert str(refused.value) == f"PostgreSQL at localhost:{postgres['db_port']}: {UNKNOWN_AUTHORITY}"


async def test_a_postgresql_without_tls_is_refused(make_database: Any, certificates: Certificates) -> None:
    given = {**await make_database("chassis"), "db_sslmode": "verify-full", "db_sslrootcert": certificates.ca}
    database = Database(load(ServiceSettings, **given))
    try:
        with pytest.raises((OSError, asyncpg.PostgresError)):
            await database.ping()
    finally:
        await database.close()


@pytest.fixture
async def redis(redis_server: dict[str, Any], certificates: Certificates) -> AsyncIterator[dict[str, Any]]:
    """Put TLS in front of Redis and return arguments for settings that check its certificate."""
    address = redis_server["redis_host"], redis_server["redis_port"]
    async with Proxy(*address, tls=certificates.server_context()) as proxy:
        yield {
            "redis_host": "localhost",
            "redis_port": proxy.port,
            "redis_password": redis_server["redis_password"],
            "redis_tls": True,
            "redis_cafile": certificates.ca,
        }


async def test_redis_answers_over_tls(redis: dict[str, Any]) -> None:
    client = RedisClient(load(ServiceSettings, **redis))
    try:
        await client.ping()
        assert await client.or_default(lambda raw: raw.get("absent"), b"down") is None
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"redis_cafile": None}, "unable to get local issuer certificate"),
        ({"redis_cafile": "stranger"}, "unable to get local issuer certificate"),
        ({"redis_host": OTHER_NAME}, "Hostname mismatch, certificate is not valid for '127.1'"),
    ],
)
async def test_a_redis_with_another_certificate_is_refused(
    redis: dict[str, Any], strangers_ca: str, changed: dict[str, Any], says: str
) -> None:
    given = {**redis, **changed}
    if given["redis_cafile"] == "stranger":
        given["redis_cafile"] = strangers_ca
    client = RedisClient(load(ServiceSettings, **given))
    try:
        assert await client.or_default(lambda raw: raw.get("absent"), b"down") == b"down"
        with pytest.raises(RedisError, match=f"certificate verify failed: {says}"):
            await client.raw.ping()
    finally:
        await client.close()
