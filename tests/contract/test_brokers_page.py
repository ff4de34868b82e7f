"""docs/evidence/brokers.md is as its program writes it."""

import re

from tests.brokers.page import BEGIN, END, HEAD, PAGE, with_figures

RECORD = {
    "fault": "kill -9 of kafka",
    "orders": 1500,
    "slowest_checkout_s": 0.0304,
    "longest_send_s": 2.26,
    "longest_effect_s": 3.0,
    "recovery_s": 4.75,
}


def test_the_figures_of_a_run_go_between_the_marks() -> None:
    page = with_figures(f"a\n{BEGIN}old\n{END}b\n", [RECORD])
    assert "| kill -9 of kafka | 1,500 | 30 ms | 2.3 s | 3.0 s | 4.8 s |" in page
    assert page.startswith("a\n")
    assert page.endswith("b\n")
    assert "old" not in page


def test_the_page_has_figures_of_every_fault() -> None:
    figures = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    assert HEAD in figures
    row = re.compile(r"\| [^|]+ \| [\d,]+ \| [\d,]+ ms \| \d+\.\d s \| \d+\.\d s \| \d+\.\d s \|")
    rows = figures.strip().splitlines()[2:]
    assert len(rows) >= 6
    assert [line for line in rows if not row.fullmatch(line)] == []
