"""Points in time on the wire."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator

# An aware time, shown in UTC whatever zone the database answered in.
UtcTime = Annotated[datetime, AfterValidator(lambda time: time.astimezone(UTC))]
