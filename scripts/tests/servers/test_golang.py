"""A program is built by Go once, whole or not at all, and its absence is one sentence."""

from pathlib import Path

import pytest

from servers import collector, victorialogs
from servers.base import Missing
from servers.golang import Program


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache and no program but those that a test puts into this folder."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return programs


def go(machine: Path, text: str) -> Path:
    """Put a compiler there that notes its command line, and return where; `nice` runs it as it is."""
    log = machine / "log"
    for name, content in (("nice", 'shift 2; exec "$@"'), ("go", f'echo "$*" >>{log}; {text}')):
        (machine / name).write_text(f"#!/bin/sh\n{content}\n")
        (machine / name).chmod(0o755)
    return log


def test_a_package_is_built_once(machine: Path) -> None:
    log = go(machine, 'echo program >"$GOBIN/store"')
    program = Program("store", "example.org/store@v1.2.3", "v1.2.3")
    with pytest.raises(Missing, match=r"^store is not built: make observe builds it \(needs Go\)$"):
        program.path()
    assert program.build() == program.build() == program.path()
    assert program.path().read_text() == "program\n"
    [asked] = log.read_text().splitlines()
    assert asked == "install -p=1 -trimpath -ldflags=-s -w example.org/store@v1.2.3"


def test_a_module_is_built_from_its_folder_as_its_sums_say(machine: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    log = go(machine, 'for word; do [ "$last" = -o ] && echo "$PWD" >"$word"; last=$word; done; true')
    program = Program("tool", tmp_path / "source", "1")
    assert program.build().read_text() == f"{tmp_path / 'source'}\n"
    assert log.read_text().startswith("build -p=1 -trimpath -ldflags=-s -w -mod=readonly -o ")


def test_without_go_one_sentence_says_so(machine: Path) -> None:
    with pytest.raises(Missing, match=r"^go is not installed: .*all else works$"):
        Program("store", "example.org/store@v1", "v1").build()


def test_a_build_that_fails_leaves_the_compiler_s_words_and_no_program(machine: Path) -> None:
    go(machine, 'echo half >"$GOBIN/store"; echo "undefined: x" >&2; exit 1')
    program = Program("store", "example.org/store@v1", "v1")
    with pytest.raises(Missing, match="undefined: x"):
        program.build()
    assert not program.is_built
    go(machine, 'echo whole >"$GOBIN/store"')
    assert program.build().read_text() == "whole\n"


def test_another_source_makes_another_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = collector.program()
    for name in ("main.go", "go.mod", "go.sum"):
        (tmp_path / name).write_bytes((collector.SOURCE / name).read_bytes())
    monkeypatch.setattr(collector, "SOURCE", tmp_path)
    assert collector.program().version == before.version
    (tmp_path / "main.go").write_text("package main")
    assert collector.program().version != before.version
    assert victorialogs.PROGRAM.version in str(victorialogs.PROGRAM.source)
