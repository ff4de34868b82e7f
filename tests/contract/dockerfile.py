"""Reads a Dockerfile and a `.dockerignore` as the builder does, as far as this project's files go."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from fc.stack.layout import ROOT

AUDITOR = ROOT / "deploy/Dockerfile.auditor"
DOCKERFILES = [ROOT / "deploy/Dockerfile", ROOT / "deploy/Dockerfile.simulator", AUDITOR]
DOCKERFILE = DOCKERFILES[0].read_text(encoding="utf-8")
_PINNED = re.compile(r"[\w./-]+:\d+\.\d+\.\d+(-[\w.]+)*")
_TOOLS = re.compile(r"\b(apt-get|apk|gcc|make|pip|uv|curl|wget)\b")


@dataclass(frozen=True)
class Step:
    """One instruction, its continuation lines joined, with the number of its build stage (from 0)."""

    stage: int
    name: str
    text: str


def steps(text: str) -> list[Step]:
    """Read the instructions of a Dockerfile."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found: list[Step] = []
    stage = -1
    for line in joined.splitlines():
        name, _, rest = line.partition(" ")
        stage += name == "FROM"
        found.append(Step(stage, name, " ".join(rest.split())))
    return found


def exec_form(text: str) -> list[str] | None:
    """Read a command in exec form (a JSON list of words), or None if a shell would run it."""
    try:
        words = json.loads(text)
    except ValueError:
        return None
    return [str(word) for word in words] if isinstance(words, list) else None


def violations(text: str, *, runs_once: bool = False) -> list[str]:
    """Name what is wrong with a Dockerfile: unpinned images, tools in the last stage, how and as whom it runs.

    An image that runs once has no health check, and says so.
    """
    everything = steps(text)
    last_stage = {step.name: step.text for step in everything if step.stage == everything[-1].stage}
    return [*_build_violations(everything), *_run_violations(last_stage, runs_once=runs_once)]


def _build_violations(everything: list[Step]) -> Iterator[str]:
    for step in everything:
        if step.name == "FROM" and not _PINNED.fullmatch(step.text.split()[0]):
            yield f"{step.text.split()[0]} is not pinned"
        if step.name == "RUN" and step.stage == everything[-1].stage and _TOOLS.search(step.text):
            yield f"the last stage runs {_TOOLS.findall(step.text)[0]}"
        for command in step.text.split("&&") if step.name == "RUN" else []:
            if " install " in command and "pip " in command and not re.search("--require-hashes|--no-index", command):
                yield f"not locked: {command.strip()}"


def _run_violations(last_stage: dict[str, str], *, runs_once: bool) -> Iterator[str]:
    yield from (f"{name} is not in exec form" for name in ("ENTRYPOINT", "CMD") if not _is_exec(last_stage.get(name)))
    if not exec_form(last_stage.get("ENTRYPOINT", "[]")):
        yield "there is no ENTRYPOINT"
    check = last_stage.get("HEALTHCHECK", "")
    if runs_once and check != "NONE":
        yield "there is no HEALTHCHECK NONE"
    if not runs_once and exec_form(check.partition("CMD ")[2]) is None:
        yield "there is no HEALTHCHECK in exec form"
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", last_stage.get("USER", "")):
        yield "it does not run as a numbered user other than root"
    if "PYTHONUNBUFFERED=1" not in last_stage.get("ENV", ""):
        yield "its log is buffered"
    yield from (f"there is no {name}" for name in ("LABEL", "WORKDIR") if name not in last_stage)


def _is_exec(text: str | None) -> bool:
    return text is None or exec_form(text) is not None


def copied(text: str, service: str) -> dict[str, str]:
    """Return what the last stage copies out of the project: source -> target."""
    everything = steps(text)
    found: dict[str, str] = {}
    for step in everything:
        if step.name == "COPY" and step.stage == everything[-1].stage and not step.text.startswith("--from"):
            *sources, target = step.text.replace("${SERVICE}", service).split()
            found |= dict.fromkeys(sources, target)
    return found


def ignored(path: str, patterns: str) -> bool:
    """Whether a file is excluded from the build context; the last line that matches it or its folder decides."""
    result = False
    for line in patterns.splitlines():
        if not line or line.startswith("#"):
            continue
        rule = _rule(line.removeprefix("!"))
        file = PurePosixPath(path)
        if any(rule.fullmatch(str(one)) for one in (file, *file.parents)):
            result = not line.startswith("!")
    return result


def _rule(pattern: str) -> re.Pattern[str]:
    parts = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    words = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(parts.get(word, re.escape(word)) for word in words))
