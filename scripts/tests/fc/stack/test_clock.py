"""How far the clock of a stack may be moved, and where it can't be."""

import pytest

from fc.stack.clock import seconds
from fc.stack.errors import StackError


@pytest.mark.parametrize(
    ("text", "expected"), [("1s", 1), ("90s", 90), ("30m", 1800), ("24h", 86_400), ("7d", 604_800), ("90d", 7_776_000)]
)
def test_a_time_is_a_number_and_its_unit(text: str, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "24", "h", "1.5h", "-1h", "+1h", " 1h", "1h ", "1w", "1h30m", "٣h", "9999999999s"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(StackError, match="such as 90s, 30m, 24h or 7d"):
        seconds(text)


@pytest.mark.parametrize("text", ["0s", "0d", "91d", "2161h"])
def test_a_time_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(StackError, match="by 1s to 90d at a time, and never set back"):
        seconds(text)
