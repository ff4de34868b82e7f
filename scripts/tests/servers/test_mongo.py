"""The class that runs the audit log's server is compiled again after a compilation that failed."""

import os
from pathlib import Path

import pytest

from servers.base import Missing, cache
from servers.mongo import VERSION, Mongo


def test_a_class_of_an_older_version_is_not_used_after_a_compilation_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "javac").write_text("#!/bin/sh\necho 'no memory' >&2\nexit 1\n")
    (tmp_path / "javac").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    jars = cache() / f"mongo-java-server-{VERSION}"
    jars.mkdir()
    for name in (".complete", "Main.class", "Main.java"):
        (jars / name).write_text("older")
    for _ in range(2):
        with pytest.raises(Missing, match="no memory"):
            Mongo(tmp_path / "mongo", 1).prepare()
