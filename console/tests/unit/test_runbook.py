"""The runbook: every section that an alert or a page names is there, and no HTML of its file reaches the page."""

import re
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from console.model.runbook import page_of
from lint.markdown import anchors

from .browser import Browser

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
NAMED = re.compile(r"(?:operations\.md|/runbook)#([\w-]+)")


def test_each_heading_has_the_anchor_that_links_in_documents_use() -> None:
    page = page_of(TEXT)
    made = set(re.findall(r'<h\d id="([\w-]+)"', page.html))
    assert made == anchors(TEXT) - {"operations"}
    assert {heading.anchor for heading in page.headings} <= made


def test_every_section_that_alerts_and_code_name_is_in_the_runbook() -> None:
    folders = ("deploy/observability", "deploy/helm", "console/console", "scripts/fc")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*") if file.is_file()]
    named = {
        (anchor, str(file.relative_to(ROOT)))
        for file in files
        if file.suffix in (".py", ".html", ".yml", ".json")
        for anchor in NAMED.findall(file.read_text(encoding="utf-8"))
    }
    assert named
    known = anchors(TEXT)
    assert not [place for place in named if place[0] not in known]


@pytest.mark.parametrize(
    "line",
    [
        "<script>alert(1)</script>",
        "text <img src=x onerror=alert(1)> text",
        "[a](javascript:alert(1))",
        "![a](https://example.com/x.png)",
        "[a](https://example.com)",
        "[a](limits.md)",
        "<https://example.com>",
    ],
)
def test_no_html_of_the_file_and_no_link_to_elsewhere_is_in_the_page(line: str) -> None:
    html = page_of(f"# Title\n\n## `fc` & <b>\n\n{line}\n\n| a | b |\n|---|--:|\n| {line} | 1 |\n").html
    assert not re.search(r"<(script|img|b)\b|style=|href=", html)
    assert '<td class="number">1</td>' in html


def test_a_comment_is_not_shown_and_a_link_inside_the_page_is_kept() -> None:
    html = page_of("# Title\n\n<!-- made -->\n\n[there](#a-b)\n\n## A, b\n").html
    assert "made" not in html
    assert '<a href="#a-b">there</a>' in html
    assert '<h2 id="a-b">' in html


async def test_the_page_shows_the_runbook_with_its_contents(browser: Browser) -> None:
    assert (await browser.get("/runbook")).headers["location"] == "/login?next=/runbook"
    browser.sign_in()
    answer = await browser.get("/runbook")
    assert answer.status_code == 200
    assert 'href="#consumer-lag">Consumer lag</a>' in answer.text
    assert '<h2 id="consumer-lag">' in answer.text
    assert not re.search(r"<script>|style=|\son\w+=", answer.text)


def test_the_wheel_has_the_documents_that_the_console_reads() -> None:
    packed = WheelBuilder(str(ROOT / "console")).config.force_include
    assert packed == {str(ROOT / name): f"console/documents/{name}" for name in ("docs/operations.md", "protos/events")}
