"""Checks the workflows of GitHub Actions: pinned actions, few rights, time limits, and that what they name exists."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Part = Mapping[Any, Any]

_USES = re.compile(r"^\s*(?:- )?uses: (\S+)(.*)$", re.MULTILINE)
_PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
_VERSION = re.compile(r" +# v\d+\.\d+\.\d+")
_MAKE = re.compile(r"(?:^|[\s;&|(])make((?:[ \t]+[^\s;&|()<>]+)+)")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_TARGET = re.compile(r"^([a-z][\w-]*):(?!=)", re.MULTILINE)
_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)+")
_SPLIT = re.compile(r"[\s\"'`;&|()<>=,]+")
# Inputs of actions that name files of the checkout.
_PATH_INPUTS = ("file", "path", "context", "cache-dependency-path", "config-file")
# What a step makes or finds outside the sources.
_MADE = (".venv/", ".local/", "dist/")


def problems(root: Path) -> list[str]:
    """Return a line for each violation in `.github`, and for each action that is pinned to two commits."""
    found = []
    pins: dict[str, dict[str, Path]] = {}
    for path in sorted((root / ".github").glob("**/*.y*ml")):
        name, text = path.relative_to(root), path.read_text("utf-8")
        found += [
            f"{name}: {problem}" for problem in _problems(root, text, is_workflow=path.parent.name == "workflows")
        ]
        for action, _, commit in (used.partition("@") for used, _ in _USES.findall(text) if "@" in used):
            pins.setdefault(action, {}).setdefault(commit, name)
    twice = {action: commits for action, commits in pins.items() if len(commits) > 1}
    return found + [f"{action} is pinned to several commits: {_places(commits)}" for action, commits in twice.items()]


def _places(commits: Mapping[str, Path]) -> str:
    return ", ".join(f"{commit[:7]} in {path}" for commit, path in commits.items())


def _problems(root: Path, text: str, *, is_workflow: bool) -> Iterator[str]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        yield f"is not YAML: {str(error).splitlines()[0]}"
        return
    yield from _uses(root, text, content)
    yield from _names(root, content)
    if is_workflow:
        yield from _workflow(text, content)


def _workflow(text: str, content: Part) -> Iterator[str]:
    # YAML 1.1 reads the key `on` as true.
    triggers = set(content.get("on") or content.get(True) or ())
    if "pull_request_target" in triggers:
        yield "pull_request_target gives the code of a pull request the rights of this repository"
    if "pull_request" in triggers and re.search(r"\bsecrets\b", text):
        yield "it runs for pull requests, and names secrets"
    if content.get("permissions") != {}:
        yield "the permissions at its top are not {}"
    if "concurrency" not in content:
        yield "has no concurrency"
    for name, job in content["jobs"].items():
        yield from (f"job {name}: {problem}" for problem in _job(job))


def _job(job: Part) -> Iterator[str]:
    if not isinstance(job.get("permissions"), Mapping):
        yield "does not list its permissions"
    if "uses" not in job and not isinstance(job.get("timeout-minutes"), int):
        yield "has no timeout-minutes"
    for step in job.get("steps", ()):
        is_checkout = step.get("uses", "").startswith("actions/checkout@")
        if is_checkout and step.get("with", {}).get("persist-credentials") is not False:
            yield "its checkout keeps the credentials"


def _uses(root: Path, text: str, content: Part) -> Iterator[str]:
    lines = _USES.findall(text)
    for used, after in lines:
        if used.startswith("./"):
            yield f"{used} is read from the workspace, which a step can change: begin it with $/"
        elif used.startswith("$/"):
            if not (root / used[2:]).exists():
                yield f"{used} is not there"
        elif not _PINNED.fullmatch(used):
            yield f"{used} is not pinned to a commit of 40 digits"
        elif not _VERSION.fullmatch(after):
            yield f"{used} has no comment with its version"
    seen = {used for used, _ in lines}
    yield from (f"{used} is not on a line of its own" for used in _values(content, "uses") if used not in seen)


def _names(root: Path, content: Part) -> Iterator[str]:
    """Describe the make targets and files that a step names and that are not there."""
    scripts = [str(script) for script in _values(content, "run")]
    targets = set(_TARGET.findall((root / "Makefile").read_text("utf-8")))
    for words in (words for script in scripts for words in _MAKE.findall(_QUOTED.sub("''", script))):
        named = (word for word in words.split() if "=" not in word)
        yield from (f"make has no target {one}" for one in named if one not in targets)
    inputs = [str(value) for key in _PATH_INPUTS for value in _values(content, key)]
    for word in dict.fromkeys(word for text in (*scripts, *inputs) for word in _SPLIT.split(text)):
        is_path = _PATH.fullmatch(word.removeprefix("./").rstrip("/")) and not word.startswith(_MADE)
        if is_path and not (root / word).exists():
            yield f"there is no file {word}"
    yield from (f"there is no file {one}" for one in inputs if _is_missing_name(root, one))


def _is_missing_name(root: Path, value: str) -> bool:
    """Whether an input is one name without a folder that is not there."""
    return bool(re.fullmatch(r"[\w.-]+", value)) and not (root / value).exists()


def _values(part: Any, key: str) -> Iterator[Any]:
    """Yield the values of a key at any depth, for mappings in steps, jobs and inputs alike."""
    if isinstance(part, Mapping):
        for name, value in part.items():
            if name == key and not isinstance(value, Mapping):
                yield value
            yield from _values(value, key)
    elif isinstance(part, list):
        for item in part:
            yield from _values(item, key)
