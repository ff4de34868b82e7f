"""The fonts of an invoice, and the markup that names a font for each run of a customer's text."""

from functools import cache
from importlib.resources import files
from xml.sax.saxutils import escape

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

TEXT, BOLD = "NotoSans", "Helvetica-Bold"
# PDF readers bring these fonts themselves: the file names them and does not contain them.
FAR_EAST = {"HYGothic-Medium": (0xAC00, 0xD7A3), "HeiseiKakuGo-W5": (0x2E80, 0x9FFF)}


@cache
def register_fonts() -> frozenset[int]:
    """Register the fonts once, and return the code points that the text font can show."""
    folder = files("fontpkg_noto_sans").joinpath("files")
    path = next(file for file in folder.iterdir() if "Italic" not in file.name)
    font = TTFont(TEXT, str(path))
    pdfmetrics.registerFont(font)
    for name in FAR_EAST:
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    return frozenset(font.face.charToGlyph)


def _font_of(character: str) -> str | None:
    code = ord(character)
    if code in register_fonts():
        return TEXT
    return next((name for name, (first, last) in FAR_EAST.items() if first <= code <= last), None)


def marked_up(text: str) -> str:
    """Return text as markup that names the font of each run; a character without a font becomes U+FFFD."""
    runs: list[tuple[str, str]] = []
    for character in " ".join(text.split()):
        font = _font_of(character)
        glyph = character if font else "\N{REPLACEMENT CHARACTER}"
        if runs and runs[-1][0] == (font or TEXT):
            runs[-1] = (runs[-1][0], runs[-1][1] + glyph)
        else:
            runs.append((font or TEXT, glyph))
    return "".join(f'<font name="{font}">{escape(run)}</font>' for font, run in runs)
