"""A full disk and refused connections: requests fail completely and lose nothing."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from fc.demo.shop import poll
from fc.stack.layout import SERVICES
from servers.postgres import app_role
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.databases import administer, key_exists, orders_for
from tests.chaos.kit.requests import checkout, refused_for_now

CONSUMER_MAX_TRIES = 5
DISK_FULL = """
CREATE SEQUENCE refused_inserts;
CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  PERFORM nextval('refused_inserts');
  RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
END $$;
CREATE TRIGGER disk_full BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION disk_full();
"""
DISK_FREE = "DROP FUNCTION disk_full CASCADE; DROP SEQUENCE refused_inserts"


@asynccontextmanager
async def disk_full(arena: Arena, service: str, table: str) -> AsyncIterator[None]:
    """Answer every INSERT into a table as PostgreSQL does when its disk is full."""
    await administer(arena, DISK_FULL.format(table=table), database=service)
    try:
        yield
    finally:
        await administer(arena, DISK_FREE, database=service)
    arena.healed()


async def inserts_refused(arena: Arena, service: str, times: int) -> bool:
    """Whether at least so many INSERTs were refused."""
    connection = await arena.stack.programs.postgres.connect(service)
    try:
        return bool(await connection.fetchval("SELECT last_value >= $1 FROM refused_inserts", times))
    finally:
        await connection.close()


@pytest.mark.fault(77)
@pytest.mark.parametrize(
    ("service", "table"),
    [
        ("orderfc", "outbox"),
        ("orderfc", "inbox"),
        ("productfc", "inbox"),
        ("productfc", "stock_ledger"),
        ("paymentfc", "payments"),
        ("paymentfc", "audit_outbox"),
    ],
)
async def test_a_table_that_takes_no_row_for_want_of_disk_stops_what_needs_it_whole_and_loses_nothing(
    arena: Arena, service: str, table: str
) -> None:
    product, key = await arena.back_office.product(stock=5), uuid4().hex
    async with disk_full(arena, service, table):
        answer = await checkout(arena, (product, 1), key=key)
        if table == "outbox":
            assert refused_for_now(answer)
            assert (await orders_for(arena, product), await key_exists(arena, key)) == (0, False)
        else:
            assert answer.status_code == 201
            if service == "orderfc":
                await arena.pay(answer.json()["order_id"])
            # More often than a consumer tries a message that fails by itself.
            times = CONSUMER_MAX_TRIES + 1 if table == "inbox" else 2
            await poll(lambda: inserts_refused(arena, service, times), f"{service} waits for disk space", 40, 0.05)
    order = await arena.alice.checkout_until_answered(product, 1, key)
    if service != "orderfc" or table == "outbox":
        await arena.pay(order)
    await arena.alice.wait_status(order, "completed", 40)
    await arena.exact()
    assert await orders_for(arena, product) == 1
    assert await arena.back_office.stock(product) == 4


@asynccontextmanager
async def small_disk(arena: Arena, service: str, table: str) -> AsyncIterator[Path]:
    """Put a table on a file system of 32 MB. Yields the path of the file that fills it."""
    folder = arena.stack.home / "small"
    folder.mkdir()
    owner = (arena.stack.programs.postgres.home / "data").stat()
    options = f"size=32m,mode=700,uid={owner.st_uid},gid={owner.st_gid}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("this machine does not allow to mount a file system")
    ballast = folder / "ballast"
    try:
        (folder / "space").mkdir()
        os.chown(folder / "space", owner.st_uid, owner.st_gid)
        await administer(arena, f"CREATE TABLESPACE small LOCATION '{folder / 'space'}'")
        for statement in (f"ALTER TABLE {table} SET TABLESPACE small", f"VACUUM FULL {table}"):
            await administer(arena, statement, database=service)
        yield ballast
    finally:
        ballast.unlink(missing_ok=True)
        await administer(arena, f"ALTER TABLE {table} SET TABLESPACE pg_default", database=service)
        await administer(arena, "DROP TABLESPACE small")
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()
    arena.healed()


def fill(ballast: Path) -> None:
    """Write until the file system is full."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


@pytest.mark.fault(77)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
async def test_a_disk_that_is_really_full_refuses_checkouts_whole_until_there_is_room(arena: Arena) -> None:
    product = await arena.back_office.product(stock=200)
    placed: list[int] = []
    async with small_disk(arena, "orderfc", "outbox") as ballast:
        fill(ballast)
        while (answer := await checkout(arena, (product, 1), key=(key := uuid4().hex))).status_code == 201:
            placed.append(answer.json()["order_id"])
            assert len(placed) < 150
        assert refused_for_now(answer)
        assert await orders_for(arena, product) == len(placed)
        ballast.unlink()
        placed.append(await arena.alice.checkout_until_answered(product, 1, key))
    await arena.complete(placed[-1])
    await arena.exact()
    assert await orders_for(arena, product) == len(placed)
    assert await arena.back_office.stock(product) == 200 - len(placed)


@asynccontextmanager
async def few_connections(arena: Arena, limit: int) -> AsyncIterator[None]:
    """End the services' sessions and limit each role to so many."""
    roles = [app_role(service) for service in SERVICES]
    names = ", ".join(f"'{role}'" for role in roles)
    try:
        await administer(
            arena,
            *(f"ALTER ROLE {role} CONNECTION LIMIT {limit}" for role in roles),
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ({names})",
        )
        yield
    finally:
        await administer(arena, *(f"ALTER ROLE {role} CONNECTION LIMIT -1" for role in roles))
    arena.healed()


@pytest.mark.fault(77)
@pytest.mark.long
async def test_services_that_are_granted_two_connections_each_answer_all_the_same_and_lose_nothing(
    arena: Arena,
) -> None:
    product = await arena.back_office.product(stock=30)
    log = arena.stack.layout.log("orderfc")
    beginning = log.stat().st_size

    async def refused() -> bool:
        return b"too many connections" in log.read_bytes()[beginning:]

    async with few_connections(arena, 2):
        ordering = [asyncio.create_task(arena.bob.checkout_until_answered(product, 1, uuid4().hex)) for _ in range(12)]
        await poll(refused, "a connection is refused", 20, 0.05)
        await asyncio.wait(ordering, return_when=asyncio.FIRST_COMPLETED)
    orders = await asyncio.gather(*ordering)
    await arena.complete(orders[0], arena.bob)
    await arena.exact()
    assert len(set(orders)) == 12
    assert await orders_for(arena, product) == 12
    assert await arena.back_office.stock(product) == 18
