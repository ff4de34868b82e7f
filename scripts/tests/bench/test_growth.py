"""The comparison of a grown database with an empty one: what it measures, and that it finds a missing index."""

from io import StringIO
from typing import Any

from rich.console import Console

from bench.growth import Result, compare, report
from bench.growth_rows import Size

SMALLER = Size(20_000, 20_000, 3_000)
RARE = "history, a rare status"
INDEX = "ix_orders_user_id_status_id"


def access(results: list[Result]) -> str:
    return "; ".join(*(result.plans for result in results if result.name == RARE))


async def test_a_missing_index_shows_in_the_access_of_its_statement(postgres_server: dict[str, Any]) -> None:
    sound = await compare(postgres_server, grown=SMALLER, services=["orderfc"])
    spoiled = await compare(postgres_server, grown=SMALLER, services=["orderfc"], spoil=f"DROP INDEX {INDEX}")
    assert INDEX in access(sound)
    assert INDEX not in access(spoiled)


def test_work_of_more_than_twice_its_time_is_marked_with_its_access() -> None:
    slow, noisy, fine = (
        Result("orderfc", name, small_ms, grown_ms, [f"Seq Scan of {name}"])
        for name, small_ms, grown_ms in (("slow", 1.0, 2.1), ("noisy", 0.1, 0.3), ("fine", 1.0, 1.9))
    )
    assert [result.is_over for result in (slow, noisy, fine)] == [True, False, False]
    shown = StringIO()
    report([slow, noisy, fine], Console(width=200, file=shown))
    [line] = [line for line in shown.getvalue().splitlines() if "OVER" in line]
    assert "Seq Scan of slow" in line


async def test_all_work_of_every_service_is_measured(postgres_server: dict[str, Any]) -> None:
    tiny = Size(400, 100, 20)
    results = await compare(postgres_server, grown=tiny)
    assert {result.service for result in results} == {"orderfc", "paymentfc", "productfc", "userfc"}
    assert all(result.small_ms > 0 and result.grown_ms > 0 for result in results)
