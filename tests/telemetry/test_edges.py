"""The traces of orders have every edge that is declared, and no other, whatever happens to them."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx2
import pytest

from fc.demo.shop import Shop, poll
from fc.platform.sources import Sources
from fc.stack.local import Stack
from tests.kit.back_office import BackOffice
from tests.kit.otlp_sink import OtlpSink
from tests.kit.processes import replaced, stopped
from tests.kit.spans import Reader, Span, connected
from tests.kit.stacks import SECRETS
from tests.telemetry.edges import STORIES, Edge, found_edges, problems
from tests.telemetry.stories import TOLD, Scene, Told

SPANS_S = 30


@pytest.fixture
def scene(
    stack: Stack,
    shop: Shop,
    back_office: BackOffice,
    client: httpx2.AsyncClient,
    sink: OtlpSink,
) -> Scene:
    """The stack of this session."""
    environment = {
        **os.environ,
        "FC_NATIVE": "1",
        "FC_HOME": str(stack.home),
        "FC_PORT_OFFSET": str(stack.layout.offset),
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
    }

    def paymentfc(settings: Mapping[str, str]) -> AbstractAsyncContextManager[object]:
        return replaced(stack, {"paymentfc": settings})

    @asynccontextmanager
    async def without_redis() -> AsyncIterator[None]:
        async with stopped(stack, "redis"):
            yield

    async def replay(topic: str, place: str) -> None:
        words = ["dlq", "replay", topic, place, "--reason", "a story", "--force", "--yes"]
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "fc", *words, env=environment)
        assert await process.wait() == 0, f"fc {' '.join(words)}"

    sources = Sources.of_stack(stack.layout)
    return Scene(stack.urls(), shop, back_office, client, sources, paymentfc, without_redis, replay)


async def spans_of(reader: Reader, story: str, told: Told) -> list[Span]:
    """Wait until a story's traces have its edges, and each span its parent."""
    wanted: set[Edge] = set(STORIES[story])

    async def complete() -> list[Span] | None:
        spans = await connected(reader, told.traces)
        missing = wanted - found_edges(spans).keys()
        return None if missing or problems(spans, told.callers) else spans

    try:
        return list(await poll(complete, f"the edges of {story}", SPANS_S, 0.5))
    except TimeoutError:
        spans = await connected(reader, told.traces)
        missing = sorted(wanted - found_edges(spans).keys())
        raise AssertionError("\n".join([*map(str, missing), *problems(spans, told.callers)])) from None


@pytest.mark.parametrize("story", TOLD)
async def test_a_story_has_all_its_edges_and_no_other(story: str, scene: Scene, sink: OtlpSink) -> None:
    told = Told(secrets=list(SECRETS.values()))
    await TOLD[story](scene, told)
    spans = await spans_of(sink, story, told)
    assert problems(spans, told.callers, told.secrets) == []
