"""The payers' addresses: asked once a minute for each, failures every time, and no more of them than the bound."""

import pytest

from chassis.errors import NotFound, Unavailable
from chassis.grpc.users import User, UserClient
from paymentfc.client import payers
from paymentfc.client.payers import FRESH_S, Payers


class Users(UserClient):
    """Answers with a new address at each call, or fails."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.failure: Exception | None = None

    async def get_user(self, user_id: int) -> User:
        self.asked.append(user_id)
        if self.failure:
            raise self.failure
        return User(user_id, f"{user_id}-{len(self.asked)}@example.com", "User", "user")


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def test_userfc_is_asked_for_a_payer_once_a_minute() -> None:
    users, clock = Users(), Clock()
    known = Payers(users, clock)
    first = await known.email(3)
    assert await known.email(4) != first
    clock.now += FRESH_S - 0.1
    assert await known.email(3) == first
    clock.now += 0.1
    assert await known.email(3) == "3-3@example.com"
    assert users.asked == [3, 4, 3]


@pytest.mark.parametrize("failure", [Unavailable("away"), NotFound("no such user")])
async def test_a_look_up_that_failed_is_made_again_and_the_last_address_is_still_known(failure: Exception) -> None:
    users, clock = Users(), Clock()
    known = Payers(users, clock)
    users.failure = failure
    for _ in range(2):
        with pytest.raises(type(failure)):
            await known.email(3)
    assert known.known(3) is None
    users.failure = None
    address = await known.email(3)
    clock.now += FRESH_S
    users.failure = failure
    with pytest.raises(type(failure)):
        await known.email(3)
    assert known.known(3) == address
    assert users.asked == [3] * 4


async def test_the_payers_asked_for_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payers, "MAX_KNOWN", 2)
    users = Users()
    known = Payers(users)
    for user_id in (1, 2, 1, 3, 1, 2):
        await known.email(user_id)
    assert users.asked == [1, 2, 3, 2]
