"""Writes the table of alerts into docs/operations.md, from the rules."""

import re
from pathlib import Path

from observability.rules import ROOT, Alert, alerts

PAGE = Path("docs/operations.md")
BEGIN = "<!-- alerts: made by `python -m observability write` -->"
END = "<!-- alerts: end -->"
_TABLE = re.compile(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)


def text(root: Path = ROOT) -> str:
    """Return the page with the table of today's rules. Raises ValueError where the page has no place for it."""
    page = (root / PAGE).read_text(encoding="utf-8")
    if not _TABLE.search(page):
        raise ValueError(f"{PAGE} lacks the lines {BEGIN!r} and {END!r}")
    return _TABLE.sub(lambda _: table(alerts(root)), page)


def table(rows: list[Alert]) -> str:
    """Return the table, pages before tickets."""
    lines = [
        f"| {one.labels['severity']} | `{one.name}` | {one.annotations['description']} | {_held(one.duration)} "
        f"| {_section(one)} |"
        for one in sorted(rows, key=lambda one: one.labels["severity"])
    ]
    return "\n".join(["| severity | alert | when | for | section |", "|---|---|---|---|---|", *lines, ""])


def _held(duration: str) -> str:
    return "" if duration == "0s" else re.sub(r"([a-z])", r" \1", duration).replace(" m", " min")


def _section(one: Alert) -> str:
    _, _, anchor = one.annotations["runbook_url"].partition("#")
    return f"[{anchor.replace('-', ' ')}](#{anchor})"
