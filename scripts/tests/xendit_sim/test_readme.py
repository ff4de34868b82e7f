"""The README names every setting, route and switch, and its examples work."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel

import xendit_sim
from xendit_sim import control, page, refund_api
from xendit_sim.config import Settings
from xendit_sim.faults import Faults

README = (Path(xendit_sim.__file__).parent / "README.md").read_text(encoding="utf-8")
SWITCHES = README[README.index("### Switches") : README.index("## What is faithful")]


class Asked(Mapping[str, str]):
    """An empty environment that records the names that are read."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def test_every_setting_is_described() -> None:
    asked = Asked()
    Settings.from_env(asked)
    assert {name for name in asked.names if f"`{name}`" not in README} == set()
    assert len(asked.names) == 12


def test_every_control_route_has_an_example() -> None:
    paths = {route.path for route in control.router.routes if isinstance(route, APIRoute)}
    assert len(paths) == 9
    assert {path for path in paths if f"$SIM{path}".replace("{invoice_id}", "$ID") not in README} == set()
    paths = {route.path for route in refund_api.router.routes if isinstance(route, APIRoute)}
    assert len(paths) == 3
    assert {path for path in paths if f"$SIM{path}".replace("{refund_id}", "$REFUND") not in README} == set()


def test_every_button_is_described() -> None:
    template = (Path(page.__file__).parent / "templates" / "invoice.html").read_text(encoding="utf-8")
    actions = set(re.findall(r'action="/web/{{ invoice.id }}/([\w-]+)"', template))
    assert len(actions) == 5
    assert {action for action in actions if f"`{action}`" not in README} == set()


def test_every_switch_is_described_with_its_default_and_an_example_that_is_taken() -> None:
    rows = {}
    for line in SWITCHES.splitlines():
        if line.startswith("| `"):
            names, default, _, examples = [cell.strip() for cell in line.strip("|").split("|")]
            for name in re.findall(r"`(\w+)`", names):
                rows[name] = json.loads(default.strip("`"))
            bodies = [json.loads(text) for text in re.findall(r"`(\{.*?\}+)`", examples)]
            assert bodies, line
            assert all(Faults.model_validate(body) != Faults() for body in bodies), line
    assert rows == Faults().model_dump()


@pytest.mark.parametrize("example", re.findall(r"\$SIM/_sim/invoices/\$ID/(\w+) --json '([^']+)'", README))
def test_the_examples_of_bodies_are_taken(example: tuple[str, str]) -> None:
    action, body = example
    models: dict[str, type[BaseModel]] = {"pay": control.Pay, "resend": control.Resend}
    model = models[action]
    assert model.model_validate(json.loads(body)) != model()
