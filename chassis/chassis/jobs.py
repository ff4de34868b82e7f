"""The commands that run once and exit: `migrate` and `topics`."""

from collections.abc import Iterable

import structlog

from chassis.config.settings import ServiceSettings
from chassis.db import revisions
from chassis.errors import Refused
from chassis.kafka.topics import ensure_topics

log = structlog.get_logger(__name__)


async def run_once(command: str, settings: ServiceSettings, topics: Iterable[str]) -> str | None:
    """Migrate the database or create the topics. Return in one sentence why that is refused, None when it is done."""
    try:
        if command == "migrate":
            # A running service does without alembic and SQLAlchemy, which take a fifth of a second to import.
            from chassis.db import migrations

            if await migrations.run(settings, settings.service):
                log.info("database is at the newest revision", revision=revisions.head(settings.service))
        else:
            log.info("topics exist", created=await ensure_topics(settings, topics))
    except Refused as refused:
        return str(refused)
    return None
