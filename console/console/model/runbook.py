"""A page of Markdown as HTML that holds nothing but what Markdown makes: no HTML of the page, no link to elsewhere."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import count
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

_NO_ANCHOR = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of the second level; `anchor` is what links to it name."""

    anchor: str
    title: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page without its first heading. `html` is safe in a template."""

    title: str
    headings: tuple[Heading, ...]
    html: Markup


def anchor_of(title: str) -> str:
    """Return the anchor that GitHub makes of a heading."""
    return _NO_ANCHOR.sub("", title.lower()).replace(" ", "-")


def page_of(text: str) -> Page:
    """Read a page of Markdown whose first line is its title."""
    first, _, rest = text.partition("\n")
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table").disable("image")
    tokens = list(_safe(markdown.parse(rest)))
    headings = []
    for token, words in zip(tokens, tokens[1:], strict=False):
        if token.type == "heading_open":
            token.attrSet("id", anchor_of(words.content))
            if token.tag == "h2":
                headings.append(Heading(anchor_of(words.content), _plain(words)))
    renderer: Any = markdown.renderer
    number = count(1)
    renderer.rules |= {"fence": _fence, "table_open": lambda *_: _TABLE.format(next(number)), "table_close": _end_table}
    html = renderer.render(tokens, markdown.options, {})
    return Page(first.removeprefix("# "), tuple(headings), Markup(html))  # noqa: S704 - of the renderer


_TABLE = '<div class="scroll" tabindex="0" role="region" aria-label="Table {}">\n<table class="list">\n'


def _end_table(*_: object) -> str:
    return "</table>\n</div>\n"


def _fence(tokens: list[Token], place: int, *_: object) -> str:
    return f'<pre class="code" tabindex="0"><code>{escape(tokens[place].content)}</code></pre>\n'


def _safe(tokens: list[Token]) -> Iterator[Token]:
    """Leave out comments, links to elsewhere and styles; other HTML becomes the text that it is."""
    leads_here = True
    for token in tokens:
        if token.children:
            token.children = list(_safe(token.children))
        if token.type in ("html_block", "html_inline"):
            if token.content.lstrip().startswith("<!--"):
                continue
            token.type = "text"
        if token.type == "link_open":
            leads_here = str(token.attrGet("href")).startswith("#")
        if token.type in ("link_open", "link_close") and not leads_here:
            continue
        if token.attrs.pop("style", None) == "text-align:right":
            token.attrSet("class", "number")
        yield token


def _plain(heading: Token) -> str:
    return "".join(child.content for child in heading.children or ())
