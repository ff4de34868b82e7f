"""What a container may do: the services run without privileges, and reach what is theirs and nothing else."""

import asyncpg
import pytest

from fc.platform.sources import COMPOSE_PORTS
from fc.stack.layout import SERVICES
from tests.compose.kit.platform import PROJECT, Platform

STATUS = """
import pathlib
lines = pathlib.Path("/proc/1/status").read_text().splitlines()
fields = dict(line.split(":\\t", 1) for line in lines if ":\\t" in line)
print(fields["Uid"].split()[0], int(fields["CapEff"], 16), int(fields["CapBnd"], 16), fields["NoNewPrivs"])
try:
    pathlib.Path("/app/written").write_text("x")
except OSError as refused:
    print(type(refused).__name__, refused.errno)
"""
READ_ONLY = "OSError 30"
REACHES = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)
    print("reached")
except OSError as refused:
    print(type(refused).__name__)
"""


def told(platform: Platform, name: str, code: str, *arguments: str) -> list[str]:
    """Run Python in a container and return what it prints."""
    said = platform.run("docker", "exec", f"{PROJECT}-{name}-1", "python", "-c", code, *arguments)
    return said.stdout.splitlines()


@pytest.mark.parametrize("name", [*SERVICES, "xendit-simulator"])
def test_what_runs_from_an_image_of_the_project_has_no_privilege_and_writes_nothing(
    platform: Platform, name: str
) -> None:
    assert told(platform, name, STATUS) == ["10001 0 0 1", READ_ONLY]


def test_a_service_reaches_its_stores_and_the_simulator_none(platform: Platform) -> None:
    for host, port in (("orderfc-db", "5432"), ("redis", "6379"), ("mongo", "27017"), ("vault", "8200")):
        assert told(platform, "orderfc", REACHES, host, port) == ["reached"]
        assert told(platform, "xendit-simulator", REACHES, host, port) == ["gaierror"]


@pytest.mark.parametrize("service", SERVICES)
async def test_the_role_of_a_service_reads_its_tables_and_changes_no_schema(platform: Platform, service: str) -> None:
    connection = await asyncpg.connect(
        host="localhost", port=COMPOSE_PORTS[service], user=f"{service}_app", password="admin", database=service
    )
    try:
        assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
        for statement in (
            "CREATE TABLE x (id int)",
            "ALTER TABLE alembic_version ADD x int",
            "DROP TABLE alembic_version",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()
