"""The museum: pages and faults fit each other, and the guide judges what the audit says."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from mutants import museum
from mutants.museum import EXHIBITS, PAGES, Guide, fault_of, findings, page_of, title_of

NUMBERS = range(1, len(EXHIBITS) + 1)
SECTIONS = ["The code", "What it costs", "What holds here", "What the audit says"]
FOUND = "E   AssertionError: the auditor: {}: order 7: expected a, found b; order_total: order 7: expected 1, found 2"


@pytest.mark.parametrize("number", NUMBERS)
def test_a_page_has_its_number_and_all_sections_and_shows_the_finding(number: int) -> None:
    text = page_of(number).read_text(encoding="utf-8")
    assert re.match(rf"# Exhibit {number}\. \w", text)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    shown = text.split(f"## {SECTIONS[-1]}")[1]
    assert re.search(rf"violation +{fault_of(number).says}", shown)
    assert f"make museum EXHIBIT={number}\n" in shown


def test_the_index_leads_to_every_page_and_names_the_rule_that_finds_its_defect() -> None:
    rows = re.findall(r"^\| \[(\d+)\]\((.+?)\) \| .+ \| `(\w+)` \|$", (PAGES / "README.md").read_text(), re.MULTILINE)
    assert [(int(number), page) for number, page, _ in rows] == [(each, page_of(each).name) for each in NUMBERS]
    assert all(rule.startswith(fault_of(int(number)).says) for number, _, rule in rows)
    assert {path.name for path in PAGES.glob("*.md")} == {"README.md", *(page for _, page, _ in rows)}


def test_no_two_exhibits_show_the_same_defect() -> None:
    assert len({fault_of(number).name for number in NUMBERS}) == len(EXHIBITS) == 12


def test_the_findings_are_read_from_the_output_of_pytest() -> None:
    assert findings("F\n" + FOUND.format("stock_taken") + "\n") == [
        "stock_taken: order 7: expected a, found b",
        "order_total: order 7: expected 1, found 2",
    ]
    assert findings("1 passed") == []


@pytest.mark.parametrize(
    ("sound", "broken", "verdict"),
    [
        ("", FOUND.format("stock_taken"), True),
        ("", FOUND.format("stock_held"), False),
        ("", "", False),
        (FOUND.format("stock_taken"), FOUND.format("stock_taken"), False),
    ],
)
def test_an_exhibit_is_shown_when_only_the_defect_brings_its_finding(
    sound: str, broken: str, verdict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = fault_of(1)

    def run(copy: Path, nodes: list[str]) -> tuple[set[str], str]:
        is_sound = fault.sound in (copy / fault.file).read_text()
        output = sound if is_sound else broken
        return ({nodes[0]} if output else set()), output

    monkeypatch.setattr(museum, "run", run)
    text = io.StringIO()
    assert Guide(Console(file=text, width=200, soft_wrap=True)).show(1) is verdict
    assert title_of(1) in text.getvalue()
    assert ("the audit finds no violation" in text.getvalue()) is (not sound or not broken)
