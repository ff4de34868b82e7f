"""Rate limits: per address, per account, across replicas, and none without Redis."""

import asyncio

from prometheus_client import REGISTRY

from testkit import eventually
from userfc.config import Settings

from .conftest import Userfc, new_email, opened


async def test_wrong_passwords_of_one_account_are_limited_and_other_accounts_are_not(settings: Settings) -> None:
    async with opened(settings.model_copy(update={"login_limit_per_account": "3/minute"})) as userfc:
        email, other = await userfc.register(), await userfc.register()
        assert [(await userfc.login(email, "wrong"))[0] for _ in range(3)] == [401] * 3
        for typed, password in ((email, "wrong"), (email.upper(), "a good password")):
            answer = await userfc.http.post("/v1/login", json={"email": typed, "password": password})
            assert answer.status_code == 429
            body = answer.json()
            assert (body["code"], body["error"]) == ("rate_limited", "Too many tries; wait a moment and try again")
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert answer.headers["ratelimit-reset"] == answer.headers["retry-after"]
            assert (answer.headers["ratelimit-limit"], answer.headers["ratelimit-remaining"]) == ("3", "0")
        assert (await userfc.login(other))[0] == 200


async def test_the_window_of_an_account_ends(settings: Settings) -> None:
    async with opened(settings.model_copy(update={"login_limit_per_account": "1/second"})) as userfc:
        email = await userfc.register()

        async def refused(password: str) -> bool:
            return (await userfc.login(email, password))[0] == 429

        async def let_in() -> bool:
            return (await userfc.login(email))[0] == 200

        assert (await userfc.login(email, "wrong"))[0] == 401
        await eventually(lambda: refused("wrong"))
        await eventually(let_in)


async def test_guesses_made_at_once_are_counted_one_by_one(settings: Settings) -> None:
    async with opened(settings.model_copy(update={"login_limit_per_account": "3/minute"})) as userfc:
        email = await userfc.register()
        answers = await asyncio.gather(*(userfc.login(email, f"guess {number}") for number in range(20)))
        assert sorted(status for status, _ in answers) == [401] * 3 + [429] * 17


async def test_right_passwords_are_not_counted_as_failures(settings: Settings) -> None:
    async with opened(settings.model_copy(update={"login_limit_per_account": "3/minute"})) as userfc:
        email = await userfc.register()
        answers = await asyncio.gather(*(userfc.login(email) for _ in range(12)))
        assert {status for status, _ in answers} == {200}


async def test_all_tries_of_one_address_are_limited_whatever_header_they_bring(settings: Settings) -> None:
    async with opened(settings.model_copy(update={"login_limit_per_address": "3/minute"})) as userfc:
        email = await userfc.register()
        statuses = []
        for number in range(5):
            body = {"email": email, "password": "a good password"}
            forged = {"X-Forwarded-For": f"6.6.6.{number}"}
            statuses.append((await userfc.call("POST", "/v1/login", json=body, headers=forged))[0])
        assert statuses == [200] * 3 + [429] * 2


async def test_registrations_of_one_address_are_limited(settings: Settings) -> None:
    async with opened(settings.model_copy(update={"register_limit_per_address": "2/minute"})) as userfc:
        await userfc.register()
        await userfc.register()
        body = {"name": "A", "email": new_email(), "password": "a good password", "confirm_password": "a good password"}
        status, answer = await userfc.call("POST", "/v1/register", json=body)
        assert (status, answer["code"]) == (429, "rate_limited")


def skipped() -> float:
    """Return the number of requests that were not limited."""
    return REGISTRY.get_sample_value("rate_limit_skipped_total", {"limit": "login_address"}) or 0


async def test_without_redis_nobody_is_limited_and_a_metric_says_so(settings: Settings) -> None:
    strict = dict.fromkeys(("login_limit_per_address", "login_limit_per_account"), "1/minute")
    before = skipped()
    async with opened(settings.model_copy(update={**strict, "redis_port": 1})) as userfc:
        email = await userfc.register()
        assert [(await userfc.login(email, "wrong"))[0] for _ in range(3)] == [401] * 3
        assert (await userfc.login(email))[0] == 200
    assert skipped() == before + 4


async def test_two_replicas_count_together(settings: Settings, userfc: Userfc) -> None:
    strict = settings.model_copy(update={"login_limit_per_account": "2/minute"})
    email = await userfc.register()
    async with opened(strict) as one, opened(strict) as two:
        statuses = [(await replica.login(email, "wrong"))[0] for replica in (one, two, one, two)]
    assert statuses == [401, 401, 429, 429]
