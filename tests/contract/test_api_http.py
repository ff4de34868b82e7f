"""The requests of docs/api.http work as they stand there, from registering to a token that is refused."""

from pathlib import Path

import httpx2
import pytest

from fc.demo.shop import Shop
from fc.stack.local import Stack
from tests.contract.http_file import Player, Step, as_json, problems, read

FILE = Path(__file__).parents[2] / "docs" / "api.http"
NAMES = {"users": "userfc", "products": "productfc", "orders": "orderfc", "payments": "paymentfc", "xendit": "xendit"}


async def test_every_request_of_the_collection_is_answered_as_it_says(
    stack: Stack, shop: Shop, client: httpx2.AsyncClient
) -> None:
    assert shop
    variables, steps = read(FILE.read_text(encoding="utf-8"))
    admin = dict(zip(("admin_email", "admin_password"), stack.accounts()["admin"], strict=True))
    player = Player(client, variables | admin | {name: stack.layout.url(part) for name, part in NAMES.items()})
    for step in steps:
        answer = await player.play(step)
        assert list(problems(step, answer)) == []
    assert player.answers["pdf"].content.startswith(b"%PDF")
    assert [order["order_id"] for order in player.answers["history"].json()] == [
        player.answers["checkout"].json()["order_id"]
    ]


def test_the_collection_goes_from_registering_to_logging_out_on_the_standard_ports() -> None:
    variables, steps = read(FILE.read_text(encoding="utf-8"))
    assert {name: variables[name].rsplit(":", 1)[1] for name in NAMES} == {
        "users": "28080",
        "products": "28081",
        "orders": "28082",
        "payments": "28083",
        "xendit": "28090",
    }
    names = [step.name for step in steps]
    assert names[0] == "register"
    assert {"login", "checkout", "payment", "pay", "order", "pdf", "logout"} <= set(names)
    assert [as_json(step) for step in steps]


@pytest.mark.parametrize(("status", "body"), [(500, {}), (200, {"token": ""}), (200, {})])
def test_an_answer_that_is_not_as_expected_is_a_problem(status: int, body: dict[str, str]) -> None:
    step = Step("login", 200, "token", "", "POST", "/", {}, "")
    assert list(problems(step, httpx2.Response(status, json=body)))
    assert list(problems(step, httpx2.Response(200, json={"token": "t"}))) == []
