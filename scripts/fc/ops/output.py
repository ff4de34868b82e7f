"""The output of the commands: a table on a terminal, tab-separated columns in a pipe, JSON lines on request."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

console = Console(highlight=False, soft_wrap=True)


def clean(value: object) -> str:
    """Return a value as one line without control characters, which a terminal would obey; `-` for no value."""
    text = "-" if value is None or value == "" else str(value)
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def put_json(values: Iterable[Mapping[str, Any]]) -> None:
    for value in values:
        sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")


def put_rows(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their columns' names."""
    cells = [[clean(value) for value in row] for row in rows]
    if not console.is_terminal:
        for line in (columns, *cells):
            sys.stdout.write("\t".join(line) + "\n")
        return
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        table.add_row(*map(escape, row))
    console.print(table, soft_wrap=False)


def put_lines(lines: Iterable[str]) -> None:
    """Print text as it is, for a person or a pipe."""
    for line in lines:
        sys.stdout.write(clean(line) + "\n")


def say(text: str) -> None:
    """Print a remark beside the rows: on the terminal, or on standard error when the rows go into a pipe."""
    (console if console.is_terminal else Console(stderr=True, highlight=False, soft_wrap=True)).print(text)


def age(since: datetime, now: datetime) -> str:
    """Return the time since `since` in its two largest units."""
    left = max(int((now - since) / timedelta(seconds=1)), 0)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts or unit == "s":
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def moment(time: datetime | None) -> str:
    """Return a time in UTC, in a form that sorts."""
    return f"{time:%Y-%m-%d %H:%M:%S}" if time else "-"
