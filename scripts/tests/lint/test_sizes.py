"""The size check: what is too long fails, so does an exception that nothing needs."""

from collections.abc import Callable, Mapping

import pytest

from lint.sizes import problems
from lint.sources import Source

Plant = Callable[[Mapping[str, str]], list[Source]]

PATH = "orderfc/orderfc/module.py"


def function(lines: int, indent: str = "") -> str:
    return f"{indent}@decorator\n{indent}def work():\n" + f"{indent}    pass\n" * (lines - 1)


LONG_CLASS = "class Long:\n" + "".join(function(20, "    ").replace("work", f"work_{n}") for n in range(6))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = 1\n" * 251, f"{PATH}: a file of 251 lines, the limit is 250"),
        (function(41), f"{PATH}::work: a function of 41 lines, the limit is 40"),
        (
            "async ".join(["", "def work():\n"]) + "    pass\n" * 40,
            f"{PATH}::work: a function of 41 lines, the limit is 40",
        ),
        ("class C:\n" + function(41, "    "), f"{PATH}::C.work: a function of 41 lines, the limit is 40"),
        (LONG_CLASS, f"{PATH}::Long: a class of 127 lines, the limit is 120"),
    ],
)
def test_what_is_too_long_fails_unless_it_is_excepted(plant: Plant, text: str, problem: str) -> None:
    sources = plant({PATH: text})
    assert problems(sources, {}) == [problem]
    assert problems(sources, {problem.split(": ")[0]: "A list."}) == []


def test_what_is_as_long_as_its_limit_passes(plant: Plant) -> None:
    assert problems(plant({PATH: function(40) + "x = 1\n" * 209, "tests/test_x.py": "x = 1\n" * 250}), {}) == []


def test_tests_and_tools_have_the_same_limits(plant: Plant) -> None:
    sources = plant({"tests/test_x.py": "x = 1\n" * 251, "scripts/fc/x.py": "x = 1\n" * 251})
    assert [problem.split(":")[0] for problem in problems(sources, {})] == ["scripts/fc/x.py", "tests/test_x.py"]


def test_classes_of_tools_and_tests_may_be_longer(plant: Plant) -> None:
    assert problems(plant({"scripts/fc/stack.py": LONG_CLASS, "tests/kit/arena.py": LONG_CLASS}), {}) == []


def test_an_exception_without_need_or_without_a_reason_fails(plant: Plant) -> None:
    sources = plant({PATH: "x = 1\n" * 251})
    assert problems(sources, {PATH: "A list.", "gone.py": "It was long."}) == [
        "gone.py: needs no exception in sizes.toml any more"
    ]
    assert problems(sources, {PATH: ""}) == [f"{PATH}: the exception in sizes.toml gives no reason"]
