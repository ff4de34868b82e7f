"""Reads docs/api.http and sends its requests: the part of the REST Client format that the file uses."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any
from uuid import uuid4

import httpx2

from fc.demo.shop import poll

VARIABLE = re.compile(r"\{\{([^}]+)\}\}")


@dataclass(frozen=True)
class Step:
    """One request as it is written; `field` (and `value`) is what its answer must hold."""

    name: str
    status: int
    field: str
    value: str
    method: str
    url: str
    headers: dict[str, str]
    body: str


def read(text: str) -> tuple[dict[str, str], list[Step]]:
    """Return the file's variables and its requests in order."""
    head, *blocks = text.split("\n###")
    variables = dict(re.findall(r"^@(\w+) = (.+)$", head, re.MULTILINE))
    return variables, [_step(block) for block in blocks]


def _step(block: str) -> Step:
    lines = block.splitlines()[1:]
    notes = dict(re.findall(r"^# @(\w+) (.+)$", block, re.MULTILINE))
    status, _, wanted = notes["expect"].partition(" ")
    field, _, value = wanted.partition("=")
    request = [line for line in lines if not line.startswith("#")]
    method, url = request[0].split(" ", 1)
    head, _, body = "\n".join(request[1:]).partition("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines() if line)
    return Step(notes["name"], int(status), field, value, method, url, headers, body.strip())


class Player:
    """Sends steps in order; later steps can refer to earlier answers."""

    def __init__(self, client: httpx2.AsyncClient, variables: Mapping[str, str]) -> None:
        self._client = client
        self._variables = {name: self._fill(value) for name, value in variables.items()}
        self.answers: dict[str, httpx2.Response] = {}

    async def play(self, step: Step) -> httpx2.Response:
        """Send a step; one that only reads is repeated until its answer is as expected. Raises TimeoutError."""

        async def answered() -> httpx2.Response | None:
            answer = await self._send(step)
            return answer if step.method != "GET" or _fits(step, answer) else None

        answer: httpx2.Response = await poll(answered, f"{step.name} answers {step.status} {step.field}{step.value}")
        self.answers[step.name] = answer
        return answer

    async def _send(self, step: Step) -> httpx2.Response:
        headers = {name: self._fill(value) for name, value in step.headers.items()}
        return await self._client.request(
            step.method, self._fill(step.url), headers=headers, content=self._fill(step.body).encode() or None
        )

    def _fill(self, text: str) -> str:
        return VARIABLE.sub(lambda found: self._value(found[1]), text)

    def _value(self, name: str) -> str:
        if name == "$guid":
            return str(uuid4())
        if "." not in name:
            return self._variables[name]
        step, _, _, *path = name.split(".")
        return str(reduce(_into, path, self.answers[step].json()))


def _into(value: Any, key: str) -> Any:
    return value[int(key)] if key.isdigit() else value[key]


def _fits(step: Step, answer: httpx2.Response) -> bool:
    if answer.status_code != step.status:
        return False
    found = answer.json().get(step.field) if step.field else True
    return str(found) == step.value if step.value else bool(found)


def problems(step: Step, answer: httpx2.Response) -> Iterator[str]:
    """Name what is wrong with an answer."""
    if not _fits(step, answer):
        shown = (
            answer.text[:300] if "json" in answer.headers.get("content-type", "") else f"{len(answer.content)} bytes"
        )
        yield f"{step.name}: expected {step.status} {step.field}={step.value}, got {answer.status_code} {shown}"


def as_json(step: Step) -> object:
    """Parse a step's body with numbers in place of its variables."""
    return json.loads(VARIABLE.sub("1", step.body)) if step.body else None
