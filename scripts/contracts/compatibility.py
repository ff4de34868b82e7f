"""Says in sentences whom a published event breaks: readers declared here, and whoever relies on what was published."""

from collections.abc import Iterable, Iterator, Mapping

from contracts.history import changes
from contracts.reading import Problem, unreadable
from contracts.schemas import Schema, fields

Found = list[tuple[str, Problem]]

_OTHERS = "nobody here reads it, but others may"


def incompatibilities(
    topic: str, now: Schema | None, readers: Mapping[str, Schema], before: Schema | None
) -> list[str]:
    """Give a sentence for each field of a topic that breaks somebody, with those whom it breaks.

    `now` is the schema of what will be published (None: nothing any more), `before` of what was (None: nothing yet);
    `readers` hold what each reader needs. They must be able to read both: messages from before are still in the topic.
    """
    if now is None:
        return [f"{topic}: the topic is no longer published; {_and(f'{name} reads it' for name in readers)}"]
    found = _problems(now, readers)
    changed = list(changes(before, now)) if before else []
    sentences = [
        f"{topic}: field {change.path} {change.what}; {_affected(change.path, readers, found)}" for change in changed
    ]
    told = {change.path for change in changed}
    sentences += _broken(topic, [(name, problem) for name, problem in found if problem.path not in told])
    if before:
        known = {(name, problem.path) for name, problem in found}
        earlier = [(name, problem) for name, problem in _problems(before, readers) if (name, problem.path) not in known]
        sentences += _broken(f"{topic}: in messages published before,", earlier)
    return sentences


def _problems(sent: Schema, readers: Mapping[str, Schema]) -> Found:
    return [(name, problem) for name, needed in readers.items() for problem in unreadable(sent, needed)]


def _affected(path: str, readers: Mapping[str, Schema], found: Found) -> str:
    """Tell what each reader does with a field: those who can't do it any more say how they need it."""
    broken = {name: problem.reads for name, problem in found if problem.path == path}
    reading = [name for name, needed in readers.items() if path in dict(fields(needed))]
    return _and(f"{name} {broken.get(name, 'reads it')}" for name in reading)


def _broken(start: str, found: Found) -> Iterator[str]:
    for path, published in dict.fromkeys((problem.path, problem.published) for _, problem in found):
        whom = (
            f"{name} {problem.reads}"
            for name, problem in found
            if (problem.path, problem.published) == (path, published)
        )
        separator = " " if start.endswith(",") else ": "
        yield f"{start}{separator}field {path} {published}; {_and(whom)}"


def _and(clauses: Iterable[str]) -> str:
    return ", ".join(clauses) or _OTHERS
