"""Reads the query of a list call; where sources disagree on how to write a parameter, each way is accepted."""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC

from starlette.datastructures import QueryParams

from xendit_sim.errors import BAD_FORMAT, ApiError
from xendit_sim.model import Status, parse_stamp, stamp

PERIODS = ("created", "paid", "expired")


@dataclass(frozen=True)
class Query:
    """Which invoices to list: `periods` maps created, paid and expired to the first and the last moment that match."""

    external_id: str | None
    statuses: list[str]
    periods: dict[str, tuple[str, str]]
    after: str | None
    limit: int


def read_query(params: QueryParams) -> Query:
    """Check the parameters of a list call; unknown ones are ignored. Raises ApiError naming the one at fault."""
    limit = params.get("limit", "10")
    if not (limit.isascii() and limit.isdecimal() and len(limit) <= 3 and 1 <= int(limit) <= 100):
        raise _bad("limit", "must be an integer between 1 and 100")
    return Query(
        external_id=params.get("external_id"),
        statuses=_statuses(params.getlist("statuses") + params.getlist("statuses[]")),
        periods={name: period for name in PERIODS if (period := _period(params, name))},
        after=params.get("last_invoice") or params.get("last_invoice_id"),
        limit=int(limit),
    )


def _statuses(given: list[str]) -> list[str]:
    """Read repeated keys, or one JSON array."""
    if len(given) == 1 and given[0].startswith("["):
        with suppress(ValueError, RecursionError):
            given = json.loads(given[0])
    if any(status not in list(Status) for status in given):
        raise _bad("statuses", f"must be one of [{', '.join(Status)}]")
    return given


def _period(params: QueryParams, name: str) -> tuple[str, str] | None:
    first, last = params.get(f"{name}_after"), params.get(f"{name}_before")
    if first is None and last is None:
        return None
    return _moment(f"{name}_after", first), _moment(f"{name}_before", last)


def _moment(name: str, text: str | None) -> str:
    if text is None:
        raise _bad(name, "is required with its counterpart")
    try:
        moment = parse_stamp(text)
        return stamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise _bad(name, "must be a valid ISO 8601 date") from None


def _bad(name: str, says: str) -> ApiError:
    error = {"field": [name], "location": "query", "messages": [f'"{name}" {says}'], "types": ["any.invalid"]}
    return ApiError(400, "API_VALIDATION_ERROR", BAD_FORMAT, [error])
