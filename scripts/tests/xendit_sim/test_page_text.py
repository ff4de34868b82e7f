"""The text of the pay page: amounts and links."""

import pytest

from xendit_sim.page import money, web_link


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (485_000, "IDR", "Rp485.000"),
        (1_234_567.5, "IDR", "Rp1.234.567,5"),
        (7, "IDR", "Rp7"),
        (1234.5, "USD", "1,234.50 USD"),
        (10, "PHP", "10.00 PHP"),
    ],
)
def test_amounts_are_written_as_people_do(amount: float, currency: str, text: str) -> None:
    assert money(amount, currency) == text


def test_only_web_addresses_are_links() -> None:
    assert web_link("https://shop.test/a?b=c") == "https://shop.test/a?b=c"
    assert web_link(None) is None
