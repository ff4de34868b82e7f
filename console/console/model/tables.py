"""Rows as CSV, for a spreadsheet: no cell is taken for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

# What spreadsheets take for the begin of a formula, also behind a blank that they drop.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def as_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write rows under a header. A text that a spreadsheet would compute gets a quote before it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value
