"""Describes what a change of a published event breaks: the readers declared here, and readers of earlier events."""

from collections.abc import Iterable, Iterator, Mapping

from contracts.history import changes
from contracts.reading import Problem, unreadable
from contracts.schemas import Schema, fields

Problems = list[tuple[str, Problem]]

_OTHERS = "no service here reads it, but others may"


def incompatibilities(
    topic: str, now: Schema | None, readers: Mapping[str, Schema], before: Schema | None
) -> list[str]:
    """Return a sentence for each field of a topic that breaks a reader, naming the readers.

    `now` is the schema of future events (None: no more are published), `before` that of past events (None: there are
    none); `readers` holds what each reader needs. A reader must accept both: past events are still in the topic.
    """
    if now is None:
        return [f"{topic}: the topic is no longer published; {_and(f'{name} reads it' for name in readers)}"]
    problems = _problems(now, readers)
    changed = list(changes(before, now)) if before else []
    sentences = [
        f"{topic}: field {change.path} {change.what}; {_affected(change.path, readers, problems)}" for change in changed
    ]
    covered = {change.path for change in changed}
    sentences += _broken(topic, [(name, problem) for name, problem in problems if problem.path not in covered])
    if before:
        known = {(name, problem.path) for name, problem in problems}
        earlier = [(name, problem) for name, problem in _problems(before, readers) if (name, problem.path) not in known]
        sentences += _broken(f"{topic}: in messages published before,", earlier)
    return sentences


def _problems(sent: Schema, readers: Mapping[str, Schema]) -> Problems:
    return [(name, problem) for name, needed in readers.items() for problem in unreadable(sent, needed)]


def _affected(path: str, readers: Mapping[str, Schema], problems: Problems) -> str:
    """Describe what each reader does with a field; a reader that breaks says how it needs the field."""
    broken = {name: problem.reads for name, problem in problems if problem.path == path}
    reading = [name for name, needed in readers.items() if path in dict(fields(needed))]
    return _and(f"{name} {broken.get(name, 'reads it')}" for name in reading)


def _broken(start: str, problems: Problems) -> Iterator[str]:
    for path, published in dict.fromkeys((problem.path, problem.published) for _, problem in problems):
        readers = (
            f"{name} {problem.reads}"
            for name, problem in problems
            if (problem.path, problem.published) == (path, published)
        )
        separator = " " if start.endswith(",") else ": "
        yield f"{start}{separator}field {path} {published}; {_and(readers)}"


def _and(clauses: Iterable[str]) -> str:
    return ", ".join(clauses) or _OTHERS
