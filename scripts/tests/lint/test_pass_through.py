"""The pass-through check finds functions that only forward their arguments, and no others."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lint import pass_through
from lint.sources import Source

Plant = Callable[[Mapping[str, str]], list[Source]]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "lint", str(folder)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "text",
    [
        "def find(name):\n    return repository.find(name)\n",
        'def find(name):\n    """Find."""\n    return repository.find(name)\n',
        "class Service:\n    async def find(self, name, limit):\n        return await self._names.find(name, limit)\n",
        "def find(*, name):\n    return repository.find(name=name)\n",
        "def save(row):\n    repository.save(row)\n",
    ],
)
def test_a_function_that_only_passes_its_arguments_on_fails_the_lint(plant: Plant, text: str) -> None:
    [problem] = pass_through.problems(plant({"orderfc/orderfc/module.py": text}))
    assert "only passes its arguments on" in problem


@pytest.mark.parametrize(
    "text",
    [
        "def find(name):\n    return repository.find(name.strip())\n",
        "def find(name):\n    return repository.find(name, 10)\n",
        "def find(name, limit):\n    return repository.find(limit, name)\n",
        "def find(name):\n    check(name)\n    return repository.find(name)\n",
        "def close():\n    return connection.close()\n",
        "def money(value):\n    return Decimal(value)\n",
        "@router.get('/x')\nasync def find(name):\n    return await usecase(name)\n",
        "def say(text):\n    (console if console.is_terminal else errors).print(text)\n",
        "async def named(run, stop):\n    await run(stop)\n",
    ],
)
def test_a_function_that_decides_something_passes_the_lint(plant: Plant, text: str) -> None:
    assert pass_through.problems(plant({"orderfc/orderfc/module.py": text})) == []


def test_tests_may_pass_arguments_on(plant: Plant) -> None:
    text = "def find(name):\n    return repository.find(name)\n"
    assert pass_through.problems(plant({"orderfc/tests/test_module.py": text})) == []
