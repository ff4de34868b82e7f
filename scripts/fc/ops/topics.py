"""`fc topics`: make the topics that are missing, and report or remove how others differ from what they should have."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Annotated, TypeVar

import typer
from aiokafka.errors import KafkaError

from chassis.config.settings import ServiceSettings
from chassis.errors import Refused
from chassis.kafka.topic_settings import Difference
from chassis.kafka.topics import ensure_topics, opened_admin, topic_differences
from fc.ops import output
from fc.ops.topic_changes import Way, apply, way
from fc.stack import deployment
from fc.stack.errors import StackError
from fc.stack.startup import topics as names

COLUMNS = ("topic", "property", "is", "should be", "what to do")

T = TypeVar("T")


def topics(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 when a topic is missing or differs.")
    ] = False,
    apply_safe: Annotated[
        bool, typer.Option("--apply", help="Change what can neither lose nor refuse an event; asks before.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --apply: do not ask.")] = False,
) -> None:
    """Create missing topics and dead letter topics; list how others differ from topics.toml and the settings."""
    if check and apply_safe:
        raise StackError("--check changes nothing: leave out --apply")
    settings = deployment.here(output.console).kafka()
    created: list[str] = []
    if not check:
        created = _run(ensure_topics(settings, names()))
        typer.echo(f"Created: {', '.join(created)}" if created else "All topics exist already.")
    # A broker may not have heard yet of what another has just made.
    found = [each for each in _run(topic_differences(settings, names())) if each.topic not in created]
    if found:
        output.put_rows(COLUMNS, [(each.topic, each.name, each.found, each.planned, way(each).value) for each in found])
    safe = [each for each in found if way(each) is Way.SAFE]
    if apply_safe and safe and (yes or typer.confirm(f"Change {len(safe)} of these?")):
        _run(_applied(settings, safe))
        typer.echo(f"Changed: {', '.join(f'{each.topic} {each.name}' for each in safe)}")
    if check and found:
        raise typer.Exit(1)


async def _applied(settings: ServiceSettings, changes: Sequence[Difference]) -> None:
    async with opened_admin(settings) as admin:
        await apply(admin, changes)


def _run(work: Coroutine[None, None, T]) -> T:
    try:
        return asyncio.run(work)
    except (Refused, KafkaError, OSError, TimeoutError) as refused:
        raise StackError(str(refused) or "Kafka has not answered in time") from None
