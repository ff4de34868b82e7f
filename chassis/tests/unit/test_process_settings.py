"""A process without a database: it needs no setting of one, has no routes about one, and is ready without one."""

from typing import Any

import httpx2
import pytest

from chassis.auth.tokens import TokenVerifier
from chassis.config.settings import ProcessSettings, ServiceSettings, load
from chassis.http.routing import Router
from chassis.jobs import run_once
from chassis.resources import Connections, Parts
from chassis.service import Service
from testkit import free_port

router = Router(prefix="/v1/thing")


@router.get("")
async def thing() -> str:
    """Answer."""
    return "here"


async def build(settings: ProcessSettings) -> Parts:
    return Parts(Connections(settings), TokenVerifier(settings.jwt_secret), state={"thing": 1})


SERVICE = Service("chassis", ProcessSettings, build, routers=[router], description="A process.")


def names(settings: type[ProcessSettings]) -> set[str]:
    return set(settings.model_fields)


def test_what_a_database_needs_is_all_that_a_service_adds_to_a_process() -> None:
    added = names(ServiceSettings) - names(ProcessSettings)
    assert {name for name in added if not name.startswith("db_")} == {"outbox_keep_days", "inbox_keep_days"}
    assert {"db_host", "db_password", "db_sslmode", "db_migration_user"} <= added
    assert names(ProcessSettings) <= names(ServiceSettings)


@pytest.mark.parametrize(("settings", "refused"), [(ProcessSettings, False), (ServiceSettings, True)])
def test_production_asks_only_a_service_about_its_database(settings: type[ProcessSettings], refused: bool) -> None:
    with pytest.raises(SystemExit) as stop:
        load(settings, environment="production", jwt_secret="0123456789abcdef" * 2)
    line = str(stop.value)
    assert "REDIS_PASSWORD" in line
    assert ("DB_PASSWORD" in line) is refused


def test_a_service_is_refused_a_database_without_tls_and_a_process_has_none() -> None:
    service, process = (load(each, environment="development") for each in (ServiceSettings, ProcessSettings))
    assert next(service.plaintext()) == ("db_sslmode", "must be verify-full")
    assert [name for name, _ in process.plaintext()] == ["redis_tls", "kafka_security_protocol", "grpc_tls_cert"]


async def test_a_process_without_a_database_answers_is_ready_and_has_no_routes_about_one() -> None:
    settings = load(ProcessSettings, environment="development", redis_port=free_port())
    process = await SERVICE.open(settings, workers=True)
    transport = httpx2.ASGITransport(app=process.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        assert (await http.get("/v1/thing")).json() == "here"
        answer: Any = await http.get("/ready")
        assert (answer.status_code, set(answer.json()["checks"])) == (200, {"redis"})
        assert {(await http.get(f"/v1/admin/{name}")).status_code for name in ("process", "outbox", "inbox")} == {404}
    for close in process.close:
        await close()


@pytest.mark.parametrize("command", ["migrate", "topics"])
async def test_a_process_without_a_database_has_nothing_to_migrate_and_no_topics(command: str) -> None:
    refusal = await run_once(command, load(ProcessSettings, environment="development"), ["t"])
    assert refusal == f"it has no database and no topics, so there is nothing to {command}"


def test_to_ask_it_for_its_database_is_a_defect() -> None:
    connections = Connections(load(ProcessSettings, environment="development"))
    with pytest.raises(TypeError, match="no database"):
        _ = connections.database
