"""The collector hands spans on to Jaeger, without personal data: the pipeline of docker compose's profile `observe`."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from fc.demo.shop import poll
from servers.collector import Collector
from testkit import free_port
from tests.kit.otlp_sink import OtlpSink
from tests.kit.pipeline import Pipeline, Process

EMAIL = "alice@example.com"


@pytest.fixture
def jaeger() -> Iterator[OtlpSink]:
    with OtlpSink() as sink:
        yield sink


async def test_a_span_reaches_jaeger_and_an_address_in_it_does_not(
    tmp_path: Path, built: None, jaeger: OtlpSink
) -> None:
    pipeline = Pipeline(tmp_path)
    server = replace(cast("Collector", pipeline.collector.server), traces=jaeger.endpoint, otlp_port=free_port())
    collector = Process(server, tmp_path / "collector.out")
    await collector.start()
    try:
        provider = TracerProvider(resource=Resource.create({"service.name": "orderfc"}))
        url = f"http://127.0.0.1:{server.otlp_port}/v1/traces"
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=5)))
        attributes = {"app.order.id": "7", "note": f"for {EMAIL}"}
        with provider.get_tracer("test").start_as_current_span("checkout", attributes=attributes):
            pass
        await poll(lambda: _is_there(jaeger), "the span at Jaeger", 20)
    finally:
        await collector.stop()
        provider.shutdown()
    [span] = jaeger.spans
    assert (span.name, span.attributes["app.order.id"], span.attributes["note"]) == ("checkout", "7", "for ****")
    assert (span.service, span.resource["service.namespace"]) == ("orderfc", "go-commerce")
    assert EMAIL.encode() not in b"".join(jaeger.bodies)


async def _is_there(jaeger: OtlpSink) -> bool:
    return bool(jaeger.spans)
