"""The commands that run once and exit: `migrate` and `topics`."""

from collections.abc import Iterable

import structlog

from chassis.config.settings import ProcessSettings, ServiceSettings
from chassis.db import revisions
from chassis.errors import Refused
from chassis.kafka.topics import ensure_topics, topic_differences

log = structlog.get_logger(__name__)


async def run_once(command: str, settings: ProcessSettings, topics: Iterable[str]) -> str | None:
    """Migrate the database or create the topics. Return in one sentence why that is refused, None when it is done."""
    if not isinstance(settings, ServiceSettings):
        return f"it has no database and no topics, so there is nothing to {command}"
    try:
        if command == "migrate":
            # A running service does without alembic and SQLAlchemy, which take a fifth of a second to import.
            from chassis.db import migrations

            if await migrations.run(settings, settings.service):
                log.info("database is at the newest revision", revision=revisions.head(settings.service))
        else:
            await _make_topics(settings, topics)
    except Refused as refused:
        return str(refused)
    return None


async def _make_topics(settings: ServiceSettings, topics: Iterable[str]) -> None:
    created = await ensure_topics(settings, topics)
    log.info("topics exist", created=created)
    try:
        found = await topic_differences(settings, topics)
    except Refused as refused:
        # A user who may create topics need not be one who may read their settings (DescribeConfigs).
        log.warning("topics were not compared with their plan", error=str(refused))
        return
    for each in found:
        # A broker may not have heard yet of what another has just made.
        if each.topic not in created:
            differs = {"property": each.name, "found": each.found, "planned": each.planned}
            log.warning("topic differs from its plan", topic=each.topic, **differs)
