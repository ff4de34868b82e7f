"""The scripts of an invoice: each is drawn with glyphs of its own, shaped and in its own direction.

docs/img/invoice-scripts.png is the first page of `sample()`.
"""

from decimal import Decimal

import pytest

from paymentfc.model.document import InvoiceLine
from paymentfc.pdf.texts import prepared

from .drawing import boxes, draw, glyphs, read

SAMPLES = {
    "NotoSans": "Nguyễn Văn Đạt · Ελλάδα · Привет",
    "NotoSansArabic": "مرحبا بالعالم 123 شركة",
    "NotoSansHebrew": "שלום עולם (abc) 12",
    "NotoSansDevanagari": "नमस्ते क्षत्रिय हिन्दी",
    "NotoSansBengali": "বাংলাদেশ ক্ষমতা",
    "NotoSansTamil": "தமிழ் நாடு கொடி",
    "NotoSansThai": "กรุงเทพมหานคร น้ำ",
    "NotoSansCJKjp": "上海市浦东新区 · 東京都渋谷区カタカナ · 서울특별시",
    "NotoEmoji": "😀 👨‍👩‍👧‍👦 🇮🇩 ❤️ 👍🏽",
    "NotoSansArmenian": "Հայաստան",
    "NotoSansGeorgian": "საქართველო",
    "NotoSansEthiopic": "ሰላም",
    "NotoSansKhmer": "ភាសាខ្មែរ",
    "NotoSansLao": "ພາສາລາວ",
    "NotoSansMyanmar": "မြန်မာ",
    "NotoSansSinhala": "සිංහල",
    "NotoSansTelugu": "తెలుగు",
    "NotoSansKannada": "ಕನ್ನಡ",
    "NotoSansMalayalam": "മലയാളം",
    "NotoSansGujarati": "ગુજરાતી",
    "NotoSansGurmukhi": "ਪੰਜਾਬੀ",
    "NotoSansOriya": "ଓଡ଼ିଆ",
}
# Some fonts draw a letter in several parts, and readers copy each part as the letter.
COPIED = frozenset(SAMPLES) - {"NotoSansArabic", "NotoSansHebrew", "NotoSansKhmer", "NotoSansOriya"}


def sample() -> bytes:
    """Draw an invoice with a line for each sample."""
    lines = [InvoiceLine(text, 1, Decimal(45_000)) for text in SAMPLES.values()]
    return draw(customer="محمد علي שלום", address="Jalan Merdeka 1\nJakarta", lines=lines)


def test_no_sample_has_a_missing_glyph_and_each_is_drawn_with_its_font() -> None:
    shown = glyphs(sample())
    assert all(glyph for _, glyph in shown)
    fonts = {font.partition("-")[0] for font, _ in shown}
    assert not SAMPLES.keys() - fonts - {"NotoSansCJKjp"}
    assert any(font.startswith("NotoSansCJK") for font in fonts)


def test_what_no_font_has_is_shown_as_a_box() -> None:
    assert [glyph for _, glyph in glyphs(draw(customer="before 𓀀 after"))].count(0) == 1


@pytest.mark.parametrize("font", sorted(COPIED))
def test_the_text_can_be_copied(font: str) -> None:
    assert "".join(SAMPLES[font].split()) in "".join(read(sample()).split())


def drawn(text: str) -> list[int]:
    """Return the glyphs of a customer's name."""
    with_it, without = glyphs(draw(customer=text)), glyphs(draw(customer=""))
    fonts = {font for font, _ in without}
    return [glyph for font, glyph in with_it if font not in fonts]


def test_arabic_letters_are_joined() -> None:
    assert len(set(drawn("ححح"))) == 3
    assert len(set(drawn("ح ح ح"))) == 1


def test_devanagari_syllables_are_shaped() -> None:
    # The conjunct ksha: three code points, one glyph. The vowel sign i is written after its consonant and drawn before.
    assert len(drawn("क्ष")) == 1
    sign, consonant = drawn("कि क")[:2]
    assert sign != consonant == drawn("कि क")[2]


@pytest.mark.parametrize(("first", "second"), [("אבג", "דהו"), ("שלום", "עולם")])
def test_words_and_letters_from_right_to_left_are_ordered_so(first: str, second: str) -> None:
    # The boxes name letters from left to right, as they stand.
    lefts = {word: left for word, left, _ in boxes(draw(customer=f"{first} {second}"))}
    assert lefts[first[::-1]] > lefts[second[::-1]]
    assert first not in lefts


@pytest.mark.parametrize(
    ("text", "language"), [("直", "zh"), ("直の", "ja"), ("홍길동", "ko"), ("ᄒ", "ko"), ("Alice", "en"), ("", "en")]
)
def test_the_language_of_east_asian_text_is_that_of_its_own_letters(text: str, language: str) -> None:
    assert prepared(text)["lang"] == language
