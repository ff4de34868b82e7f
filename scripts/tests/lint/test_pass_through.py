"""The pass-through lint finds what it is for, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

LINT = Path(__file__).parents[2] / "lint" / "pass_through.py"


def lint(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    (folder / "module.py").write_text(source, encoding="utf-8")
    return subprocess.run([sys.executable, LINT, folder], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "source",
    [
        "def find(name):\n    return repository.find(name)\n",
        'def find(name):\n    """Find."""\n    return repository.find(name)\n',
        "class Service:\n    async def find(self, name, limit):\n        return await self._repository.find(name, limit)\n",
        "def find(*, name):\n    return repository.find(name=name)\n",
        "def save(row):\n    repository.save(row)\n",
    ],
)
def test_a_function_that_only_passes_its_arguments_on_fails_the_lint(tmp_path: Path, source: str) -> None:
    found = lint(tmp_path, source)
    assert found.returncode == 1
    assert "only passes its arguments on" in found.stdout


@pytest.mark.parametrize(
    "source",
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
def test_a_function_that_decides_something_passes_the_lint(tmp_path: Path, source: str) -> None:
    assert lint(tmp_path, source).returncode == 0
