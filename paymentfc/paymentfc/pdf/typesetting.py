"""Draws an invoice with Typst, which shapes, orders and breaks text of any script, and the fonts that come with it."""

from collections.abc import Callable
from functools import cache, partial
from importlib.resources import files
from typing import Any

import orjson
import typst

from paymentfc.pdf.texts import prepared

_TEMPLATE = files(__package__).joinpath("invoice.typ")


@cache
def _compiler() -> typst.Compiler:
    # Noto: letters of most scripts, symbols, emoji; Chinese, Japanese and Korean. System fonts differ between machines.
    folders = [str(files("manimgx_fonts")), str(files("manimgx_fonts_cjk"))]
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=folders)
    return typst.Compiler(input=str(_TEMPLATE), root=str(files(__package__)), font_paths=fonts)


def typeset(contents: bytes) -> bytes:
    """Draw the contents of an invoice; the same contents give the same bytes."""
    invoice = orjson.loads(contents)
    try:
        return _compiled(invoice, prepared)
    except BaseException as error:
        # A defect of the typesetter that a text has hit: its panic is no Exception. Plain text is better than none.
        if type(error).__name__ != "PanicException":
            raise
    _compiler.cache_clear()
    return _compiled(invoice, partial(prepared, apart=True))


def _compiled(invoice: dict[str, Any], text: Callable[[str], dict[str, Any]]) -> bytes:
    changed = {
        **{name: text(invoice[name]) for name in ("customer", "email", "address")},
        "facts": [(name, text(value)) for name, value in invoice["facts"]],
        "lines": [{**line, "name": text(line["name"])} for line in invoice["lines"]],
    }
    pdf = _compiler().compile(format="pdf", sys_inputs={"invoice": orjson.dumps(invoice | changed).decode()})
    if not isinstance(pdf, bytes):
        raise TypeError("the typesetter returned no document")
    return pdf
