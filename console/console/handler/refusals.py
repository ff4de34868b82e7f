"""Refusals and failures as pages: what the services answer as JSON, with the same status."""

from collections.abc import Mapping
from http.client import responses

from fastapi import Response

from console.handler import rendering


def refusal(
    status: int, _code: str, sentence: str, request_id: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer a refusal with a page; see chassis.http.middleware.error_response."""
    title = responses.get(status, "Refused")
    page = rendering.page("refusal.html", status, title=title, text=sentence, request_id=request_id, person=None)
    page.headers.update(headers or {})
    return page
