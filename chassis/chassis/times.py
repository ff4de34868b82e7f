"""Points in time on the wire."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

# An aware time, shown in UTC whatever zone the database answered in.
UtcTime = Annotated[datetime, AfterValidator(lambda time: time.astimezone(UTC))]

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _rfc_3339(value: Any) -> Any:
    """Raise ValueError for what only pydantic reads as a time, such as seconds since 1970."""
    if isinstance(value, str) and not _RFC_3339.fullmatch(value):
        raise ValueError("should be a time such as 2026-11-25T08:30:00Z")
    return value


def _in_utc(time: datetime) -> datetime:
    # A day at both ends of the calendar has no time in some zones, and none that is compared with a margin.
    if not 1000 <= time.year < 9000:
        raise ValueError("should be a time in the years 1000 to 8999")
    return time.astimezone(UTC)


TimeParam = Annotated[AwareDatetime, BeforeValidator(_rfc_3339), AfterValidator(_in_utc)]
"""A time in a query string."""
