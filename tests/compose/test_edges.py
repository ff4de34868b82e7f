"""The real Jaeger has every edge of the traces of orders, over HTTP, gRPC and Kafka, and no other."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx2
import pytest

from fc.demo.shop import Shop, poll
from fc.platform.sources import Sources
from fc.stack.layout import ROOT, Layout
from fc.stack.local import Stack
from tests.compose.kit.platform import Platform
from tests.compose.kit.record import Record
from tests.kit.back_office import BackOffice
from tests.kit.spans import Jaeger, Span, connected
from tests.telemetry.edges import STORIES, Edge, found_edges, problems
from tests.telemetry.stories import TOLD, Scene, Told

QUERY = "http://localhost:16686"
SPANS_S = 60


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as opened:
        yield opened


@pytest.fixture
def scene(platform: Platform, shop: Shop, client: httpx2.AsyncClient) -> Scene:
    """The containers, at the addresses of a local stack without an offset."""

    @asynccontextmanager
    async def paymentfc(settings: Mapping[str, str]) -> AsyncIterator[None]:
        platform.replace("paymentfc", settings)
        try:
            yield
        finally:
            platform.replace("paymentfc", {})

    @asynccontextmanager
    async def without_redis() -> AsyncIterator[None]:
        platform.compose("stop", "redis")
        try:
            yield
        finally:
            platform.compose("up", "--detach", "--wait", "--no-deps", "redis")

    async def replay(topic: str, place: str) -> None:
        platform.fc("dlq", "replay", topic, place, "--reason", "a story", "--force", "--yes")

    back_office = BackOffice(Stack(Layout(ROOT), settings={}), shop, client)
    return Scene(platform.urls, shop, back_office, client, Sources.of_compose(), paymentfc, without_redis, replay)


@pytest.mark.parametrize("story", TOLD)
async def test_jaeger_has_all_edges_of_a_story_and_no_other(
    story: str, scene: Scene, client: httpx2.AsyncClient, record: Record
) -> None:
    told, wanted = Told(), set(STORIES[story])
    await TOLD[story](scene, told)
    reader = Jaeger(client, QUERY)
    found: list[Span] = []

    async def complete() -> bool:
        found[:] = await connected(reader, told.traces)
        return wanted <= found_edges(found).keys() and not problems(found, told.callers, told.secrets)

    try:
        await poll(complete, f"the edges of {story}", SPANS_S, 0.5)
    except TimeoutError:
        missing: list[Edge] = sorted(wanted - found_edges(found).keys())
        pytest.fail("\n".join([*map(str, missing), *problems(found, told.callers, told.secrets)]))
    record.step(f"traces in Jaeger: {story}", f"{len(found)} spans, all of {len(wanted)} edges, and no other")
