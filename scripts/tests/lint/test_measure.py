"""The measures, each on a small tree in which the right figure can be counted."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from lint.duplicates import WINDOW, blocks
from lint.import_graph import import_graph
from lint.measure import measure
from lint.sources import Source

Plant = Callable[[Mapping[str, str]], list[Source]]

BLOCK = "".join(f"step_{n}(value)\n" for n in range(WINDOW))


def test_files_and_lines_are_counted_by_group_without_generated_code(plant: Plant, tmp_path: Path) -> None:
    plant(
        {
            "chassis/chassis/ids.py": "a = 1\nb = 2\n",
            "chassis/chassis/pb/user_pb2.py": "generated = 1\n",
            "scripts/fc/stack.py": "a = 1\n",
            "scripts/tests/fc/test_stack.py": "a = 1\n" * 4,
            "conftest.py": "a = 1\n",
            ".venv/lib/other.py": "a = 1\n",
        }
    )
    measures = measure(tmp_path)
    assert (measures["Files"], measures["Lines"]) == ("1 / 1 / 2", "2 / 1 / 5")


def test_the_largest_are_named_and_those_over_the_limit_are_counted(plant: Plant, tmp_path: Path) -> None:
    plant(
        {
            "userfc/userfc/long.py": "a = 1\n" * 251,
            "userfc/userfc/work.py": "class Worker:\n    def work(self):\n" + "        pass\n" * 40,
            "tests/test_x.py": "def test_x():\n    pass\n",
        }
    )
    measures = measure(tmp_path)
    assert measures["Largest file, product"] == "251 (`userfc/userfc/long.py`)"
    assert measures["Largest function, product"] == "41 (`Worker.work`)"
    assert measures["Largest class, product"] == "42 (`Worker`)"
    assert measures["Largest class, tests"] == "none"
    assert measures["Files over 250 lines"] == measures["Functions over 40 lines"] == "1 / 0 / 0"


def test_docstrings_are_counted_in_product_code(plant: Plant, tmp_path: Path) -> None:
    plant(
        {
            "userfc/userfc/model.py": 'class User:\n    def name(self):\n        """Why"""\n    def plain(self): ...\n',
            "scripts/fc/stack.py": 'def up():\n    """Start."""\n',
        }
    )
    assert measure(tmp_path)["Functions with a docstring, product"] == "50% (1 of 2)"


def test_exemptions_are_counted_in_comments_alone(plant: Plant, tmp_path: Path) -> None:
    plant(
        {
            "userfc/userfc/model.py": "a = f(1)  # fmt: skip\nb = 1  # type: ignore[assignment]  # noqa: E501\n",
            "tests/test_x.py": 'text = "# noqa and # fmt: skip"\n',
        }
    )
    measures = measure(tmp_path)
    assert [measures[f"`{mark}`"] for mark in ("fmt: skip", "noqa", "type: ignore")] == ["1 / 0 / 0"] * 3


def test_several_imports_between_two_packages_are_one_edge(plant: Plant) -> None:
    sources = plant(
        {
            "chassis/chassis/http/app.py": "from chassis.errors import AppError\nfrom chassis import ids\n",
            "chassis/chassis/http/server.py": "import chassis.errors\nimport chassis.http.app\n",
            "chassis/chassis/errors.py": "import json\n",
            "chassis/chassis/ids.py": "from chassis.errors import AppError\n",
            "chassis/tests/unit/test_ids.py": "import chassis.http.app\n",
        }
    )
    graph = import_graph(sources, "chassis")
    assert graph.nodes == {"http", "errors", "ids"}
    assert graph.edges == {("http", "errors"), ("http", "ids"), ("ids", "errors")}
    assert (graph.depth, graph.cycles, graph.back_edges) == (3, [], [])


def test_a_cycle_is_found_through_imports_in_functions_and_for_types(plant: Plant) -> None:
    sources = plant(
        {
            "chassis/chassis/http.py": "import chassis.events\nimport chassis.errors\n",
            "chassis/chassis/events.py": "def late():\n    import chassis.http\n",
            "chassis/chassis/errors.py": "if TYPE_CHECKING:\n    import chassis.events\n",
        }
    )
    graph = import_graph(sources, "chassis")
    assert graph.cycles == [{"http", "events", "errors"}]
    assert graph.back_edges == [("events", "http")]


def test_all_code_is_measured_by_top_level_package(plant: Plant) -> None:
    sources = plant(
        {
            "chassis/chassis/testing/servers.py": "from fc.stack import Stack\n",
            "scripts/fc/stack.py": "from chassis.ids import uuid7\n",
            "orderfc/orderfc/app.py": "import chassis.ids\n",
        }
    )
    graph = import_graph(sources, "")
    assert graph.edges == {("chassis", "fc"), ("fc", "chassis"), ("orderfc", "chassis")}
    assert (len(graph.cycles), len(graph.back_edges)) == (1, 1)


def test_each_copy_of_a_block_counts_however_it_is_formatted(plant: Plant) -> None:
    other = BLOCK.replace("(value)", "(\n    value,  # the same\n)")
    sources = plant(
        {
            "a.py": f"import os\n{BLOCK}a()\n",
            "b.py": f"def b(value):\n    before()\n{''.join(f'    {line}' + chr(10) for line in BLOCK.splitlines())}",
            "c.py": other.replace(",  #", "  #"),
            "d.py": BLOCK.replace("step_1", "step_one"),
        }
    )
    assert blocks(sources) == 3


def test_shorter_runs_imports_and_docstrings_are_no_duplicates(plant: Plant) -> None:
    short = "".join(BLOCK.splitlines(keepends=True)[:-1])
    same = '"""Same."""\n' + "".join(f"import module_{n}\n" for n in range(9))
    assert blocks(plant({"a.py": f"{same}{short}a()\n", "b.py": f"{same}{short}b()\n"})) == 0


def test_two_checkouts_are_shown_side_by_side(plant: Plant, tmp_path: Path) -> None:
    plant({"before/userfc/userfc/a.py": "a = 1\n", "now/userfc/userfc/a.py": "a = 1\nb = 2\n"})
    command = [
        sys.executable,
        "-m",
        "lint.measure",
        "--at",
        str(tmp_path / "now"),
        "--beside",
        str(tmp_path / "before"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "| Measure | Before | Now |\n| --- | --- | --- |\n| Files | 1 / 0 / 0 | 1 / 0 / 0 |" in done.stdout
    assert "| Lines | 1 / 0 / 0 | 2 / 0 / 0 |" in done.stdout
