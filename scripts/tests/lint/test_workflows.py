"""The lint of the workflows finds what it is for, and nothing else."""

from pathlib import Path

import pytest

from lint.sources import ROOT
from lint.workflows import problems

SHA = "0123456789abcdef0123456789abcdef01234567"
GOOD = f"""\
name: ci
on:
  push:
    branches: [main]
  pull_request:
permissions: {{}}
concurrency:
  group: ci-${{{{ github.ref }}}}
jobs:
  test:
    runs-on: ubuntu-24.04
    timeout-minutes: 10
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@{SHA} # v7.0.1
        with:
          persist-credentials: false
      - uses: $/.github/actions/setup
      - name: Build
        uses: docker/build-push-action@{SHA} # v7.3.0
        with:
          file: deploy/Dockerfile
          path: .
          tags: go-commerce/orderfc:scan
      - run: sudo make tools && make test ARGS="-k checkout" >"$RUNNER_TEMP/log" || make chaos COUNT=2
      - run: .ci/run; .venv/bin/fc audit --quiesce 60; cat dist/sbom/*.json /dev/null
  again:
    permissions: {{}}
    uses: $/.github/workflows/ci.yml
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what the workflow names."""
    for name in (".ci/run", "deploy/Dockerfile", ".github/actions/setup/action.yml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", "utf-8")
    (tmp_path / "Makefile").write_text("BIN := bin\ntools:\ntest: tools\nchaos soak:\n\t@echo\nchaos:\n", "utf-8")
    (tmp_path / ".github/actions/setup/action.yml").write_text("runs:\n  using: composite\n  steps: []\n", "utf-8")
    (tmp_path / ".github/workflows").mkdir()
    return tmp_path


def lint(checkout: Path, text: str) -> list[str]:
    (checkout / ".github/workflows/ci.yml").write_text(text, "utf-8")
    return problems(checkout)


def test_this_checkout_has_workflows_and_none_has_a_problem() -> None:
    names = {path.stem for path in (ROOT / ".github/workflows").glob("*.yml")}
    assert names >= {"ci", "containers", "images", "compose", "helm", "nightly", "codeql", "scorecard", "release"}
    assert problems(ROOT) == []


def test_a_workflow_with_nothing_wrong_passes(checkout: Path) -> None:
    assert lint(checkout, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("name: ci", "name: [ci", "ci.yml: is not YAML"),
        (f"actions/checkout@{SHA} # v7.0.1", "actions/checkout@v7", "actions/checkout@v7 is not pinned to a commit"),
        (f"checkout@{SHA}", f"checkout@{SHA[:-1]}", "is not pinned to a commit of 40 digits"),
        (f"{SHA} # v7.0.1", SHA, "has no comment with its version"),
        (f"{SHA} # v7.0.1", f"{SHA} # v7", "has no comment with its version"),
        (f"docker/build-push-action@{SHA}", f"actions/checkout@{SHA[::-1]}", "pinned to several commits"),
        (f"- uses: actions/checkout@{SHA} # v7.0.1", '- {"uses": evil/action@main}\n      -', "on a line of its own"),
        ("$/.github/actions/setup", "$/.github/actions/other", "$/.github/actions/other is not there"),
        ("$/.github/actions/setup", "./.github/actions/setup", "is read from the workspace"),
        ("permissions: {}\nconcurrency", "concurrency", "the permissions at its top are not {}"),
        ("permissions: {}\nconcurrency", "permissions: read-all\nconcurrency", "the permissions at its top are not {}"),
        ("    permissions:\n      contents: read\n", "", "job test: does not list its permissions"),
        ("    permissions:\n      contents: read\n", "    permissions: write-all\n", "does not list its permissions"),
        ("    timeout-minutes: 10\n", "", "job test: has no timeout-minutes"),
        ("concurrency:\n  group", "env:\n  group", "has no concurrency"),
        ("persist-credentials: false", "fetch-depth: 0", "its checkout keeps the credentials"),
        ("  pull_request:\n", "  pull_request_target:\n", "pull_request_target gives the code of a pull request"),
        ("tags: go", "token: ${{ secrets.TOKEN }}\n          tags: go", "runs for pull requests, and names secrets"),
        ("{}\n    uses", "{}\n    secrets: inherit\n    uses", "runs for pull requests, and names secrets"),
        ("make test", "make tset", "make has no target tset"),
        ("make chaos", "make COUNT=2 chaoss", "make has no target chaoss"),
        ("file: deploy/Dockerfile", "file: deploy/Dockrfile", "there is no file deploy/Dockrfile"),
        ("path: .", "path: results.json", "there is no file results.json"),
        (".ci/run", ".ci/walk", "there is no file .ci/walk"),
        (".ci/run", "python scripts/nothing.py", "there is no file scripts/nothing.py"),
    ],
)
def test_a_planted_problem_is_found(checkout: Path, old: str, new: str, problem: str) -> None:
    assert old in GOOD
    assert problem in "\n".join(lint(checkout, GOOD.replace(old, new, 1)))


def test_an_action_of_this_repository_is_held_to_the_same_pins(checkout: Path) -> None:
    action = checkout / ".github/actions/setup/action.yml"
    action.write_text("runs:\n  using: composite\n  steps:\n    - uses: actions/setup-python@v7\n", "utf-8")
    assert lint(checkout, GOOD) == [
        ".github/actions/setup/action.yml: actions/setup-python@v7 is not pinned to a commit of 40 digits"
    ]
