"""Comments that switch a tool off are refused, unless they name what they switch off."""

from collections.abc import Callable, Mapping

import pytest

from lint.comments import problems
from lint.sources import Source

Plant = Callable[[Mapping[str, str]], list[Source]]


@pytest.mark.parametrize(
    ("comment", "problem"),
    [
        ("# fmt: skip", "the formatter decides"),
        ("#fmt:off", "the formatter decides"),
        ("# noqa", "noqa names the rule"),
        ("# NOQA: all of it", "noqa names the rule"),
        ("# type: ignore", "type: ignore names the error"),
    ],
)
@pytest.mark.parametrize("path", ["orderfc/orderfc/model.py", "scripts/fc/stack.py", "tests/test_x.py"])
def test_a_comment_that_switches_a_tool_off_fails(plant: Plant, path: str, comment: str, problem: str) -> None:
    [line] = problems(plant({path: f"a = 1\nb = 2  {comment}\n"}))
    assert line.startswith(f"{path}:2: {problem}")


@pytest.mark.parametrize(
    "text",
    ["a = 1  # noqa: S608 - put together from constants\n", "a = 1  # type: ignore[misc]\n", 'a = "# fmt: skip"\n'],
)
def test_a_comment_that_names_its_rule_and_a_text_pass(plant: Plant, text: str) -> None:
    assert problems(plant({"orderfc/orderfc/model.py": text, "chassis/chassis/pb/x.py": "a = 1  # noqa\n"})) == []
