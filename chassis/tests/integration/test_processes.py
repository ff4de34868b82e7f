"""HTTP_PROCESSES: several processes answer on one port, and are one service to whoever runs it."""

import asyncio
import os
import signal
import socket
from collections import Counter
from pathlib import Path

import grpc.aio
import httpx2
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from testkit import eventually, free_port

from .group import Group, are_gone, failed_start, group

CLIENTS = 24
COUNTED = ("http_server_request_duration_seconds_count", "/v1/pid")


async def _ask_until_refused(client: httpx2.AsyncClient, seen: Counter[str]) -> None:
    """Ask without pause; after the first refusal all stop."""
    while not seen["refused"]:
        try:
            answer = await client.get("/v1/pid")
            seen[f"{answer.status_code} {answer.text}"] += 1
        except httpx2.ConnectError:
            seen["refused"] += 1
        except httpx2.TransportError as lost:
            seen[f"lost: {type(lost).__name__} {lost}"] += 1


async def _ask(client: httpx2.AsyncClient, times: int) -> None:
    for _ in range(times):
        assert (await client.get("/v1/pid")).status_code == 200


def _counted(text: str) -> float:
    name, route = COUNTED
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels["http_route"] == route
    )


async def _metrics(service: Group) -> str:
    """Scrape over a new connection, as any process may answer."""
    async with service.client() as client:
        answer = await client.get("/metrics")
        assert answer.status_code == 200, answer.text
        return answer.text


async def test_each_process_answers_on_the_port_and_one_of_them_has_the_rest(tmp_path: Path) -> None:
    async with group(tmp_path, 3) as service:
        [*others] = service.others()
        assert len(others) == 2
        for pid in (service.first, *others):
            async with service.connected_to(pid) as client:
                assert (await client.get("/v1/pid")).json() == pid
        assert {int(line) for line in (tmp_path / "worked").read_text().split()} == {service.first}
        async with grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        await service.stop()
        assert are_gone(others)


@pytest.mark.parametrize("kept", [0, CLIENTS], ids=["a new connection each time", "connections that are kept"])
async def test_a_stop_under_load_loses_no_request_and_no_line_of_the_log(tmp_path: Path, kept: int) -> None:
    async with group(tmp_path) as service:
        seen: Counter[str] = Counter()
        pids = [service.first, *service.others()]
        limits = httpx2.Limits(max_keepalive_connections=kept)
        async with httpx2.AsyncClient(base_url=service.url, timeout=10, limits=limits) as client:
            asking = [asyncio.create_task(_ask_until_refused(client, seen)) for _ in range(CLIENTS)]
            await eventually(lambda: seen.total() > 20 * CLIENTS, 30)
            await service.stop()
            await asyncio.gather(*asking)
        assert set(seen) - {"refused"} <= {f"200 {pid}" for pid in pids}
        requests = [line for line in service.lines() if line["event"] == "request" and line["path"] == "/v1/pid"]
        assert len(requests) == seen.total() - seen["refused"]
        assert sum(line["event"] == "stopped" for line in service.lines()) == 2


async def test_metrics_are_those_of_all_processes_and_never_fall(tmp_path: Path) -> None:
    async with group(tmp_path) as service:
        read = [0.0]

        async def scrape() -> None:
            while True:
                read.append(_counted(await _metrics(service)))

        scraping = asyncio.create_task(scrape())
        [other] = service.others()
        async with service.connected_to(service.first) as first, service.connected_to(other) as second:
            before = _counted(await _metrics(service))
            await asyncio.gather(_ask(first, 200), _ask(second, 300))

            async def complete() -> bool:
                return _counted(await _metrics(service)) == before + 500

            await eventually(complete)
        scraping.cancel()
        assert len(read) > 5
        assert read == sorted(read)


async def test_metrics_without_those_of_a_process_are_refused(tmp_path: Path) -> None:
    async with group(tmp_path) as service:
        [other] = service.others()
        async with service.connected_to(service.first) as client:
            os.kill(other, signal.SIGSTOP)
            answer = await client.get("/metrics")
            os.kill(other, signal.SIGCONT)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        await _metrics(service)


async def test_the_service_is_ready_when_all_of_its_processes_are(tmp_path: Path) -> None:
    async with group(tmp_path) as service:
        [other] = service.others()
        async with service.connected_to(service.first) as first:
            for broken, where in ((other, "process 2"), (service.first, "database")):
                file = tmp_path / f"broken-{broken}"
                file.touch()

                async def not_ready(where: str = where, client: httpx2.AsyncClient = first) -> bool:
                    answer = await client.get("/ready")
                    checks = answer.json()["checks"]
                    return answer.status_code == 503 and [name for name in checks if checks[name] != "ok"] == [where]

                await eventually(not_ready)
                file.unlink()
                await eventually(service.is_ready)


async def test_a_dependency_that_hangs_and_is_not_needed_leaves_the_service_ready(tmp_path: Path) -> None:
    async with group(tmp_path) as service:
        (tmp_path / "cache-hangs").touch()

        async def degraded() -> bool:
            async with service.client() as client:
                answer = await client.get("/ready")
            checks = answer.json()["checks"]
            assert answer.status_code == 200, checks
            return any(checks[name] == "degraded: no answer within 2 s" for name in checks)

        await eventually(degraded, 20)


async def test_a_process_that_hangs_makes_the_service_not_ready(tmp_path: Path) -> None:
    async with group(tmp_path) as service:
        [other] = service.others()
        async with service.connected_to(service.first) as first, service.connected_to(other) as client:
            blocked = asyncio.create_task(client.get("/v1/block/6000"))

            async def hangs() -> bool:
                report = (await first.get("/ready")).json()
                return bool(report["checks"]["process 2"] == "failed: no answer within 2 s")

            await eventually(hangs)
            assert not blocked.done()
            assert (await blocked).json() == other
        await eventually(service.is_ready)


async def test_when_a_process_is_killed_the_others_stop_in_order_and_the_service_fails(tmp_path: Path) -> None:
    async with group(tmp_path, 3) as service:
        killed, other = service.others()
        async with service.connected_to(service.first) as first, service.connected_to(other) as second:
            answers = [asyncio.create_task(client.get("/v1/slow/1000")) for client in (first, second)]
            await eventually(lambda: all((tmp_path / f"slow-{pid}").exists() for pid in (service.first, other)))
            os.kill(killed, signal.SIGKILL)
            assert [(await answer).json() for answer in answers] == [service.first, other]
        assert await service.exit_code() == 1
        assert are_gone([other])
        [told] = [line for line in service.lines() if line["event"] == "a part of the service ended by itself"]
        assert f"(pid {killed}) ended with -9" in told["exception"]


async def test_when_the_first_process_is_killed_the_others_stop_and_finish_their_requests(tmp_path: Path) -> None:
    async with group(tmp_path, 3) as service:
        others = service.others()
        async with service.connected_to(others[0]) as client:
            answer = asyncio.create_task(client.get("/v1/slow/1000"))
            await eventually((tmp_path / f"slow-{others[0]}").exists)
            os.kill(service.first, signal.SIGKILL)
            assert (await answer).json() == others[0]
        assert await service.exit_code() == -signal.SIGKILL
        await eventually(lambda: are_gone(others), 20)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_to_all_processes_is_one_stop(tmp_path: Path, number: signal.Signals) -> None:
    async with group(tmp_path) as service:
        others = service.others()
        os.killpg(service.first, number)
        assert await service.exit_code() == 0
        assert are_gone(others)
        assert not [line for line in service.lines() if line["level"] == "error"]


async def test_a_signal_to_another_process_than_the_first_stops_nothing(tmp_path: Path) -> None:
    async with group(tmp_path) as service:
        [other] = service.others()
        os.kill(other, signal.SIGTERM)
        os.kill(other, signal.SIGINT)
        async with service.connected_to(other) as client:
            await _ask(client, 50)
        await service.stop()


async def test_a_first_process_that_can_not_start_leaves_no_other_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = {"GRPC_PORT": str(taken.getsockname()[1])}
        code, others = await failed_start(tmp_path, HTTP_PROCESSES="3", HTTP_PORT=str(free_port()), **settings)
    assert code != 0
    assert len(others) == 2
    assert are_gone(others)


@pytest.mark.parametrize("shared", [0, 1], ids=["by another program", "by another service of several processes"])
async def test_a_port_that_is_taken_is_told_of_in_one_line(tmp_path: Path, shared: int) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _ = await failed_start(tmp_path, HTTP_PROCESSES="2", HTTP_PORT=str(port))
    assert code == 1
    told = (tmp_path / "log").read_text()
    assert told == f"chassis: can't listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize("given", ["0", "17", "two"])
async def test_a_number_of_processes_that_can_not_be_is_refused(tmp_path: Path, given: str) -> None:
    code, _ = await failed_start(tmp_path, HTTP_PROCESSES=given)
    assert code == 1
    assert (tmp_path / "log").read_text().startswith("chassis: setting HTTP_PROCESSES: ")
