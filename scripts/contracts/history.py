"""Finds what a change of a published event takes away from its readers: fields may be added, nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.reading import kind, listed, values
from contracts.schemas import Schema


@dataclass(frozen=True)
class Change:
    """A field that differs from what was published, and how: `was removed`."""

    path: str
    what: str


def changes(before: Schema, now: Schema, path: str = "") -> Iterator[Change]:
    """Compare two schemas of one topic. Bounds are not compared here: `reading` checks them against the readers."""
    if kind(before) != kind(now):
        yield Change(path, f"changed from {kind(before)} to {kind(now)}")
        return
    for former, present in zip(before.get("anyOf", [before]), now.get("anyOf", [now]), strict=True):
        yield from _values(former, present, path)
        yield from _fields(former, present, path)
        if "items" in former:
            yield from changes(former["items"], present.get("items", {}), f"{path}[]")


def _values(before: Schema, now: Schema, path: str) -> Iterator[Change]:
    former, present = values(before), values(now)
    if former == present:
        return
    if present is None:
        yield Change(path, f"may now be any {kind(now)}")
    elif former is None:
        yield Change(path, f"was narrowed to {listed(present)}")
    else:
        if new := [value for value in present if value not in former]:
            yield Change(path, f"may now be {listed(new)}")
        if lost := [value for value in former if value not in present]:
            yield Change(path, f"can no longer be {listed(lost)}")


def _fields(before: Schema, now: Schema, path: str) -> Iterator[Change]:
    former, present = before.get("properties", {}), now.get("properties", {})
    for name, part in former.items():
        inner = f"{path}.{name}" if path else name
        if name in present:
            if name in before.get("required", ()) and name not in now.get("required", ()):
                yield Change(inner, "is no longer always there")
            yield from changes(part, present[name], inner)
            continue
        renamed = [new for new in present if new not in former and kind(present[new]) == kind(part)]
        yield Change(inner, f"was renamed to {renamed[0]}" if len(renamed) == 1 else "was removed")
