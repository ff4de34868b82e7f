"""Rate limits: per address, per account, across replicas, and per process without Redis."""

import asyncio
from ipaddress import ip_network

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from testkit import eventually
from testkit.proxy import Proxy
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


async def test_addresses_of_one_site_are_counted_together(settings: Settings) -> None:
    changes = {"login_limit_per_site": "3/minute", "register_limit_per_site": "2/minute"}
    proxied = {"trusted_proxies": (ip_network("0.0.0.0/0"),)}
    async with opened(settings.model_copy(update=changes | proxied)) as userfc:
        for path, allowed in (("/v1/login", 3), ("/v1/register", 2)):
            statuses = []
            for number in range(allowed + 2):
                headers = {"X-Forwarded-For": f"2001:db8:7:{number}::1"}
                statuses.append((await userfc.call("POST", path, json={}, headers=headers))[0])
            assert statuses == [400] * allowed + [429] * 2
            other = {"X-Forwarded-For": "2001:db8:8:1::1"}
            assert (await userfc.call("POST", path, json={}, headers=other))[0] == 400


async def test_an_address_beyond_its_limit_is_refused_before_its_body_is_read(settings: Settings) -> None:
    async with opened(settings.model_copy(update={"login_limit_per_address": "1/minute"})) as userfc:
        await userfc.login(new_email())
        for content in (b"{}", b"[{}" + b",{}" * 300_000 + b"]"):
            status, answer = await userfc.call("POST", "/v1/login", content=content)
            assert (status, answer["code"]) == (429, "rate_limited")


async def test_registrations_of_one_address_are_limited(settings: Settings) -> None:
    async with opened(settings.model_copy(update={"register_limit_per_address": "2/minute"})) as userfc:
        await userfc.register()
        await userfc.register()
        body = {"name": "A", "email": new_email(), "password": "a good password", "confirm_password": "a good password"}
        status, answer = await userfc.call("POST", "/v1/register", json=body)
        assert (status, answer["code"]) == (429, "rate_limited")


def skipped() -> float:
    """Return the number of requests that were not limited."""
    return REGISTRY.get_sample_value("gocommerce_rate_limit_skipped_total", {"limit": "login_address"}) or 0


async def test_without_redis_each_process_counts_for_itself_and_a_metric_says_so(settings: Settings) -> None:
    strict = {"login_limit_per_account": "3/minute", "register_limit_per_address": "2/minute", "redis_port": 1}
    before = skipped()
    async with opened(settings.model_copy(update=strict)) as userfc:
        email, other = await userfc.register(), await userfc.register()
        assert [(await userfc.login(email, "wrong"))[0] for _ in range(4)] == [401] * 3 + [429]
        assert (await userfc.login(email))[0] == 429
        assert (await userfc.login(other))[0] == 200
        body = {"name": "A", "email": new_email(), "password": "a good password", "confirm_password": "a good password"}
        assert (await userfc.call("POST", "/v1/register", json=body))[0] == 429
    assert skipped() == before + 6


async def test_what_was_counted_with_redis_still_counts_when_it_goes_away(settings: Settings, proxy: Proxy) -> None:
    behind = {"login_limit_per_account": "3/minute", "redis_host": proxy.host, "redis_port": proxy.port}
    async with opened(settings.model_copy(update=behind)) as userfc:
        email = await userfc.register()
        assert [(await userfc.login(email, "wrong"))[0] for _ in range(2)] == [401] * 2
        await proxy.refuse()
        assert [(await userfc.login(email, "wrong"))[0] for _ in range(2)] == [401, 429]


@pytest.mark.parametrize("reason", ["refuse", "min-replicas-to-write"])
async def test_after_thirty_seconds_without_counts_in_redis_log_in_is_refused_and_registration_goes_on(
    settings: Settings, proxy: Proxy, redis: Redis, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("userfc.repository.limits.LOCAL_S", 1)
    behind = settings.model_copy(update={"redis_host": proxy.host, "redis_port": proxy.port})
    async with opened(behind, work=True) as userfc:
        email = await userfc.register()
        assert (await userfc.login(email))[0] == 200
        if reason == "refuse":
            await proxy.refuse()
        else:
            await redis.config_set(reason, 1)
        try:

            async def refused() -> bool:
                return (await userfc.login(email))[0] == 503

            assert await eventually(refused, deadline_s=10)
            answer = await userfc.http.post("/v1/login", json={"email": email, "password": "a good password"})
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
            await userfc.register()
        finally:
            await proxy.restore()
            await redis.config_set("min-replicas-to-write", 0)

        async def let_in() -> bool:
            return (await userfc.login(email))[0] == 200

        assert await eventually(let_in, deadline_s=10)


async def test_guesses_from_one_address_do_not_lock_the_account_for_other_addresses(settings: Settings) -> None:
    limits = {"login_limit_per_account": "3/minute", "login_limit_per_account_total": "5/minute"}
    strict = settings.model_copy(update=limits)
    # Each has an address of its own.
    async with opened(strict) as attacker, opened(strict) as owner, opened(strict) as third:
        email = await owner.register()
        assert [(await attacker.login(email, "wrong"))[0] for _ in range(6)] == [401] * 3 + [429] * 3
        assert (await owner.login(email))[0] == 200
        assert [(await third.login(email, "wrong"))[0] for _ in range(3)] == [401] * 2 + [429]
        answer = await owner.http.post("/v1/login", json={"email": email, "password": "a good password"})
        assert (answer.status_code, answer.headers["ratelimit-limit"]) == (429, "5")


async def test_two_replicas_count_together(settings: Settings, userfc: Userfc) -> None:
    strict = settings.model_copy(update={"login_limit_per_account_total": "2/minute"})
    email = await userfc.register()
    async with opened(strict) as one, opened(strict) as two:
        statuses = [(await replica.login(email, "wrong"))[0] for replica in (one, two, one, two)]
    assert statuses == [401, 401, 429, 429]
