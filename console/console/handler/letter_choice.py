"""Which letters a person has chosen, in an address or a form: names of letters, or the name of a group."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from console.model.items import Item

# The most letters of one action; the oldest first.
MAX_CHOSEN = 1_000
OPEN = "open"

_NAME = re.compile(r"[a-z.]{1,100}/\d{1,9}:\d{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen letters; `left` is how many more there are, `gone` are names of none."""

    items: Sequence[Item]
    left: int = 0
    gone: Sequence[str] = ()


def stamp(item: Item) -> str:
    """Return what a person sees of a letter: it is open, or was handled at a time."""
    return item.handled.at.isoformat() if item.handled else OPEN


def written(items: Iterable[Item]) -> str:
    """Write letters, and what is seen of each, into one field of a form."""
    return " ".join(f"{item.name}={stamp(item)}" for item in items)


def of_query(query: Mapping[str, str], items: Sequence[Item]) -> Choice:
    """Return the letters of the group that a query names, else those that it names one by one."""
    if group := query.get("group"):
        return _bounded([item for item in items if item.cause.name == group and item.handled is None], ())
    return _named([name for name in query if _NAME.fullmatch(name)], items)


def of_form(text: str, items: Sequence[Item], *, force: bool) -> Choice:
    """Read the letters that `written` wrote into a form.

    With `force` each letter is as the person saw it: a change since then is refused, and not overridden.
    """
    seen = dict(part.partition("=")[::2] for part in text.split()[: MAX_CHOSEN + 1])
    choice = _named([name for name in seen if _NAME.fullmatch(name)], items)
    if not force:
        return choice
    as_seen = [item if stamp(item) == seen[item.name] else replace(item, handled=None) for item in choice.items]
    return replace(choice, items=as_seen)


def _named(names: Sequence[str], items: Sequence[Item]) -> Choice:
    by_name = {item.name: item for item in items}
    found = [by_name[name] for name in names if name in by_name]
    return _bounded(found, [name for name in names if name not in by_name])


def _bounded(items: list[Item], gone: Sequence[str]) -> Choice:
    return Choice(items[:MAX_CHOSEN], max(len(items) - MAX_CHOSEN, 0), gone)
