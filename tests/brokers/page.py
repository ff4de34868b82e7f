"""Writes the table of docs/evidence/brokers.md from the figures of a run.

`FAULTS=all BROKERS_RECORD=brokers.jsonl pytest tests/brokers`, then `python -m tests.brokers.page brokers.jsonl`.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "evidence" / "brokers.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"
HEAD = "| fault | orders | slowest checkout | longest wait for the broker | until the last effect | at rest after |"


def table(records: list[dict[str, Any]]) -> str:
    """Format the figures, a row for each fault in the order of the run."""
    rows = [
        f"| {each['fault']} | {each['orders']:,} | {each['slowest_checkout_s'] * 1000:,.0f} ms"
        f" | {each['longest_send_s']:.1f} s | {each['longest_effect_s']:.1f} s | {each['recovery_s']:.1f} s |"
        for each in records
    ]
    return "\n".join([HEAD, "|---|---|---|---|---|---|", *rows]) + "\n"


def with_figures(page: str, records: list[dict[str, Any]]) -> str:
    """Replace what stands between the marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{table(records)}\n{END}{rest.split(END)[1]}"


def main(path: str) -> None:
    records = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    PAGE.write_text(with_figures(PAGE.read_text(encoding="utf-8"), records), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
