"""OpenTelemetry in this process: its set-up, and the spans that all services have in common (docs/tracing.md)."""

import asyncio
import hmac
import re
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanContext, SpanKind

from chassis import __version__
from chassis.trace_context import (
    MAX_TRACESTATE_BYTES,
    extract,
    inject,
    is_sampled,
    same_trace,
    span_context,
    traceparent,
)
from chassis.tracing import ORDER_ID, Tracing, mark_failed, numbers, set_error

__all__ = ["MAX_TRACESTATE_BYTES", "extract", "inject", "mark_failed", "numbers", "same_trace", "traceparent"]

NAMESPACE: Final = "go-commerce"
LINK: Final = "x-link-traceparent"
REPLAY_LINK: Final = "x-replay-traceparent"
_ORDER_KEY = re.compile(r"order-(\d{1,19})", re.ASCII)

tracing = Tracing()


def setup(
    service: str, endpoint: str | None, ratio: float, *, environment: str = "", secret: str = ""
) -> TracerProvider:
    """Set up the tracing of this process, and return its provider.

    Spans go to `endpoint` by OTLP over HTTP. Without one nothing is sampled; trace ids are still passed on. `secret`,
    which all services share, makes the key by which they choose the traces that are sampled.
    """
    resource = {
        "service.name": service,
        "service.namespace": NAMESPACE,
        "service.version": __version__,
        "service.instance.id": str(uuid4()),
        "deployment.environment.name": environment,
    }
    key = hmac.digest(secret.encode(), b"go-commerce trace sampling", "sha256")
    tracing.configure(resource, ratio, _exporting(endpoint) if endpoint else None, key)
    return tracing.provider


async def shut_down(provider: TracerProvider, timeout_s: float) -> None:
    """Send the last spans, for at most `timeout_s`: a collector that does not answer must not hold up the stop."""
    loop = asyncio.get_running_loop()
    sent = asyncio.Event()

    def work() -> None:
        provider.shutdown()
        # Later than `timeout_s` the loop is closed.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(sent.set)

    # No thread of the executor: the process would wait for it at its end.
    threading.Thread(target=work, name="telemetry-shutdown", daemon=True).start()
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await sent.wait()


def _exporting(endpoint: str) -> SpanProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    url = endpoint.rstrip("/")
    url = url if url.endswith("/v1/traces") else f"{url}/v1/traces"
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=5))


def is_recorded() -> bool:
    """Return whether the current span is recorded."""
    return trace.get_current_span().is_recording()


def about_order(order: int | str, span: Span | None = None) -> None:
    """Say on the current span, or on `span`, which order it is about: by its id, or by a key such as `order-7`."""
    span = span or trace.get_current_span()
    if span.is_recording():
        span.set_attributes(order_attribute(order))


def order_attribute(order: int | str) -> dict[str, str]:
    """Return the attribute with the id of an order; nothing for a text that is not the key of one."""
    if isinstance(order, int):
        return {ORDER_ID: str(order)}
    found = _ORDER_KEY.fullmatch(order)
    return {ORDER_ID: found[1]} if found else {}


def messaging(operation: str, topic: str, partition: int, key: str | None) -> dict[str, str | int]:
    """Return what spans say of a message of Kafka; `operation` is `send` or `process`."""
    # A key that is not an order's may be anything.
    order = {} if key is None else order_attribute(key)
    named = {"messaging.kafka.message.key": key, **order} if key is not None and order else {}
    return {
        "messaging.system": "kafka",
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": str(partition),
        **named,
    }


def links(headers: Mapping[str, str]) -> list[Link]:
    """Return the links to what caused an event in another trace, and to who sent it again, as its headers name them."""
    named = [span_context({"traceparent": headers[name]}) for name in (LINK, REPLAY_LINK) if name in headers]
    return [Link(context) for context in named if context.is_valid]


def process_span(topic: str, headers: Mapping[str, str]) -> AbstractContextManager[Span]:
    """Open the span of a consumed message, as a child of the span that published it."""
    return tracing.continued(f"process {topic}", headers, SpanKind.CONSUMER, links(headers))


def work_span(name: str, stored: str | None, order: int | str) -> AbstractContextManager[Span]:
    """Open the span of work on an order, in the trace of its stored `traceparent`.

    Where another trace caused it, such as that of a request, the span links that.
    """
    headers = {"traceparent": stored} if stored else {}
    if stored and not (tracing.records and is_sampled(stored)):
        return tracing.unrecorded(headers)
    cause, parent = trace.get_current_span().get_span_context(), extract(headers)
    trace_id = trace.get_current_span(parent).get_span_context().trace_id
    linked = [Link(cause)] if cause.is_valid and cause.trace_id != trace_id else None
    return tracing.span(name, context=parent, attributes=order_attribute(order), links=linked)


def client_span(method: str, template: str, base_url: str) -> AbstractContextManager[Span]:
    """Open the span of an HTTP request, if the current span is recorded; see `set_http_status`."""
    if not is_recorded():
        return tracing.child("")
    address = urlsplit(base_url)
    port = address.port or (443 if address.scheme == "https" else 80)
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "url.template": template,
        "server.address": address.hostname or "",
        "server.port": port,
    }
    return tracing.child(f"{method} {template}", kind=SpanKind.CLIENT, attributes=attributes)


def set_http_status(status: int, span: Span | None = None, failure_from: int = 400) -> None:
    """Say on `span` or the current one, if it is recorded, which status was answered, and whether it is a failure."""
    span = span or trace.get_current_span()
    if span.is_recording():
        span.set_attribute("http.response.status_code", status)
        if status >= failure_from:
            set_error(span, str(status))


def ids(context: SpanContext) -> dict[str, str]:
    """Return the ids of a span as log lines carry them; nothing outside any trace."""
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
