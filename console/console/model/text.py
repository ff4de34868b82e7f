"""The timeline as lines of text, for a terminal."""

from collections.abc import Iterator

from console.model.row import Row
from console.model.timeline import Timeline

_WIDTH = 12


def lines(shown: Timeline) -> Iterator[str]:
    """Yield the lines: what the order waits for, the rows, and what could not be read."""
    for wait in shown.waits:
        yield f"! {wait}"
    yield f"{'time':<{_WIDTH}}  {'+ms':>9}  {'lane':<9}  what"
    for row in shown.rows:
        yield _line(row)
    for note in shown.notes:
        yield f"? {note}"


def _line(row: Row) -> str:
    clock = f"{row.at:%H:%M:%S}.{row.at.microsecond // 1000:03}" if row.at else "-"
    after = "" if row.after_ms is None else f"{row.after_ms:,.0f}"
    parts = [f"{'o' if not row.hollow else '.'} {row.title}", row.detail, *_hops(row)]
    if row.clocks_ms:
        parts.append(f"clocks differ by {row.clocks_ms:,.0f} ms")
    return f"{clock:<{_WIDTH}}  {after:>9}  {row.lane:<9}  " + "  ".join(part for part in parts if part)


def _hops(row: Row) -> Iterator[str]:
    event = row.event
    if event is None:
        return
    begin = event.committed_at or event.published_at
    if event.published_at and begin and event.committed_at:
        yield f"published {(event.published_at - begin).total_seconds() * 1000:+,.0f} ms"
    for hop in event.hops:
        if hop.applied_at and begin:
            yield f"-> {hop.consumer} {(hop.applied_at - begin).total_seconds() * 1000:+,.0f} ms"
        elif event.state != "gone":
            yield f"-> {hop.consumer} not applied"
    yield from (f"dead letter {letter}" for letter in event.letters)
