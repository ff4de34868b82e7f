"""The collector hands spans on to Jaeger, without personal data: the pipeline of docker compose's profile `observe`."""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import cast

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from fc.demo.shop import poll
from servers.collector import Collector
from testkit import free_port
from tests.kit.pipeline import Pipeline, Process

EMAIL = "alice@example.com"


class Jaeger(ThreadingHTTPServer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Jaeger

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.bodies.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Suppress the access log."""


@pytest.fixture
def jaeger() -> Iterator[Jaeger]:
    server = Jaeger()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


async def test_a_span_reaches_jaeger_and_an_address_in_it_does_not(tmp_path: Path, built: None, jaeger: Jaeger) -> None:
    pipeline = Pipeline(tmp_path)
    server = replace(cast("Collector", pipeline.collector.server), traces=jaeger.url, otlp_port=free_port())
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
    [resource] = ExportTraceServiceRequest.FromString(jaeger.bodies[0]).resource_spans
    [span] = resource.scope_spans[0].spans
    shown = {item.key: item.value.string_value for item in (*resource.resource.attributes, *span.attributes)}
    assert (span.name, shown["app.order.id"], shown["note"]) == ("checkout", "7", "for ****")
    assert (shown["service.name"], shown["service.namespace"]) == ("orderfc", "go-commerce")
    assert EMAIL.encode() not in b"".join(jaeger.bodies)


async def _is_there(jaeger: Jaeger) -> bool:
    return bool(jaeger.bodies)
