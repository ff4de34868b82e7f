"""An administrator finds out who is behind an id and behind an e-mail address."""

from typing import Any

import pytest

from chassis.auth.tokens import encode_token

from .conftest import Userfc, new_email


async def ask(userfc: Userfc, expected: int = 200, **query: str) -> Any:
    token = encode_token(userfc.settings.jwt_secret, user_id=1, email="admin@example.com", role="admin")
    got, body = await userfc.call("GET", "/v1/admin/users", token, params=query)
    assert got == expected, body
    return body


async def test_users_are_found_by_id_and_by_address_without_case(userfc: Userfc) -> None:
    first, second = new_email(), new_email()
    for email in (first, second):
        await userfc.register(email)
    shown = [(await ask(userfc, email=email.upper()))["items"] for email in (first, second)]
    assert [[row["email"] for row in rows] for rows in shown] == [[first], [second]]
    ids = [rows[0]["id"] for rows in shown]
    found = await ask(userfc, ids=f"{ids[1]},{ids[0]},{ids[1]},999999999")
    assert found == {"items": [shown[0][0], shown[1][0]]}
    assert set(shown[0][0]) == {"id", "name", "email", "role", "created_at"}
    assert await ask(userfc, email=new_email()) == {"items": []}


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"ids": "1", "email": "a@example.com"},
        {"ids": ",".join(["1"] * 101)},
        {"ids": "1,"},
        {"ids": "0"},
        {"ids": str(2**63)},
        {"email": "x" * 321},
        {"email": " "},
    ],
)
async def test_a_query_that_can_not_be_is_400(userfc: Userfc, query: dict[str, str]) -> None:
    assert (await ask(userfc, 400, **query))["code"] == "validation_failed"
