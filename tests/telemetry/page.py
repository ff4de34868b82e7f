"""The table of edges in docs/tracing.md: `python -m tests.telemetry.page` writes it anew."""

from pathlib import Path

from tests.telemetry.edges import EDGES, STORIES

PAGE = Path(__file__).parents[2] / "docs" / "tracing.md"
BEGIN, END = "<!-- edges: made by tests/telemetry/page.py -->\n", "<!-- end of edges -->\n"


def table() -> str:
    rows = ["| from | to | how | in the stories |", "|---|---|---|---|"]
    for parent, child, how in EDGES:
        stories = [name for name, edges in STORIES.items() if (parent, child, how) in edges]
        rows.append(f"| {parent} | {child} | {how} | {', '.join(stories) or 'sometimes'} |")
    return "\n".join(rows) + "\n"


def written(text: str) -> str:
    """Return the page with the table of today."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
