"""Log-out: every service refuses the token from then on, whatever happens to Redis."""

import asyncio
from typing import Any

import jwt
import pytest
from redis.asyncio import Redis

from chassis.auth.revocation import CURRENT, FILLED, Revocations, key
from chassis.auth.tokens import MAX_EXP, TokenVerifier, encode_token
from chassis.config.settings import ServiceSettings
from chassis.errors import Unauthenticated
from chassis.redis.client import RedisClient
from testkit import eventually
from userfc.config import Settings
from userfc.repository import tokens
from userfc.usecase.purge_revocations import purge_revocations
from userfc.usecase.refill_revocations import RECENT_S, refill_revocations

from .conftest import Userfc, opened

GONE = (401, {"error": "The token is no longer valid", "code": "invalid_token"})


def jti(userfc: Userfc, token: str) -> str:
    return TokenVerifier(userfc.settings.jwt_secret).decode(token).jti


async def test_a_token_that_was_logged_out_is_refused_everywhere_and_others_are_not(
    userfc: Userfc, redis: Redis, redis_server: dict[str, Any]
) -> None:
    email = await userfc.register()
    token, other = await userfc.token(email), await userfc.token(email)
    assert await userfc.rpc.validate_token(token)
    assert await userfc.call("POST", "/v1/logout", token) == (200, {"message": "Logged out"})
    assert await userfc.call("GET", "/v1/user-info", token) == GONE
    assert await userfc.call("POST", "/v1/logout", token) == GONE
    assert not await userfc.rpc.validate_token(token)
    assert 3900 < await redis.ttl(key(jti(userfc, token))) <= 3600 + 361
    assert (await userfc.call("GET", "/v1/user-info", other))[0] == 200

    # A service without an authority trusts Redis once userfc has filled it.
    await refill_revocations(userfc.db, userfc.copy)
    neighbour = RedisClient(ServiceSettings(**redis_server))
    verifier = TokenVerifier(userfc.settings.jwt_secret, Revocations(neighbour))
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)
    assert await verifier.verify(other)
    await neighbour.close()


async def test_logging_out_twice_at_once_is_one_log_out(userfc: Userfc) -> None:
    token = await userfc.token()
    answers = await asyncio.gather(*(userfc.call("POST", "/v1/logout", token) for _ in range(8)))
    assert {status for status, _ in answers} <= {200, 401}
    assert 200 in {status for status, _ in answers}
    assert await userfc.execute("SELECT count(*) FROM revoked_tokens WHERE jti = $1", jti(userfc, token)) == 1


def named(userfc: Userfc, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a token with this `jti`."""
    monkeypatch.setattr("chassis.auth.tokens.uuid4", lambda: name)
    return encode_token(userfc.settings.jwt_secret, user_id=1, email="a", role="user")


@pytest.mark.parametrize("name", ["", "x" * 256])
async def test_a_token_without_an_id_of_its_own_is_not_logged_out(
    userfc: Userfc, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = named(userfc, name, monkeypatch)
    status, answer = await userfc.call("POST", "/v1/logout", token)
    assert (status, answer["code"]) == (400, "validation_failed")
    assert await userfc.rpc.validate_token(token)


async def test_a_token_that_is_good_until_the_last_date_is_logged_out_like_any_other(userfc: Userfc) -> None:
    email = await userfc.register()
    secret = userfc.settings.jwt_secret.get_secret_value()
    claims = jwt.decode(await userfc.token(email), secret, algorithms=["HS256"], issuer="userfc")
    token = jwt.encode({**claims, "jti": "until the last date", "exp": MAX_EXP}, secret)
    assert await userfc.call("POST", "/v1/logout", token) == (200, {"message": "Logged out"})
    assert await userfc.call("GET", "/v1/user-info", token) == GONE
    [left] = [seconds for name, seconds in await tokens.live(userfc.db, "until", 1) if name == "until the last date"]
    assert left > 2**31
    await userfc.execute("DELETE FROM revoked_tokens WHERE jti = 'until the last date'")


@pytest.mark.parametrize("name", ["a\x00b", "\ud800"])
async def test_a_token_whose_id_no_store_takes_is_malformed_with_redis_and_without(
    settings: Settings, userfc: Userfc, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = named(userfc, name, monkeypatch)
    malformed = (401, {"error": "The token is not valid", "code": "invalid_token"})
    async with opened(settings.model_copy(update={"redis_port": 1})) as alone:
        for one in (userfc, alone):
            assert await one.call("POST", "/v1/logout", token) == malformed
            assert not await one.rpc.validate_token(token)


@pytest.mark.parametrize("lost", ["everything", "restarted"])
async def test_a_redis_that_lost_its_data_is_filled_again(settings: Settings, redis: Redis, lost: str) -> None:
    # With the mark of an earlier test this test would wipe Redis while the first fill is still running.
    await redis.delete(FILLED)
    async with opened(settings, work=True) as userfc:
        tokens = [await userfc.token(), await userfc.token()]
        names = [key(jti(userfc, token)) for token in tokens]
        await userfc.call("POST", "/v1/logout", tokens[0])
        await eventually(lambda: redis.exists(FILLED))
        if lost == "everything":
            await redis.flushall()
        else:
            await redis.delete(names[0])
            await redis.set(FILLED, "another process")
        await eventually(lambda: redis.exists(names[0]))
        assert 3900 < await redis.ttl(names[0]) <= 3961
        assert not await redis.exists(names[1])


async def test_more_tokens_than_a_page_are_all_written(userfc: Userfc, redis: Redis) -> None:
    await userfc.execute(
        "INSERT INTO revoked_tokens (jti, user_id, expires_at) "
        "SELECT 'many-' || n, 1, now() + interval '100 s' FROM generate_series(1, 2500) n"
    )
    await redis.flushall()
    await refill_revocations(userfc.db, userfc.copy)
    assert await redis.exists(*(key(f"many-{number}") for number in range(1, 2501))) == 2500
    assert 400 < await redis.ttl(key("many-7")) <= 460
    await userfc.execute("DELETE FROM revoked_tokens WHERE jti LIKE 'many-%'")


async def test_what_another_replica_could_not_write_is_written_by_the_next_round(userfc: Userfc, redis: Redis) -> None:
    await refill_revocations(userfc.db, userfc.copy)
    insert = "INSERT INTO revoked_tokens VALUES ($1, 1, now() + interval '1 h', now() - $2 * interval '1 s')"
    await userfc.execute(insert, "left-behind", RECENT_S - 10)
    await userfc.execute(insert, "long-known", RECENT_S + 10)
    await refill_revocations(userfc.db, userfc.copy)
    assert await redis.exists(key("left-behind"))
    assert not await redis.exists(key("long-known"))
    # The mark has ended: until now nobody has kept the copy current.
    await redis.delete(CURRENT)
    await refill_revocations(userfc.db, userfc.copy)
    assert await redis.exists(key("long-known"), CURRENT) == 2
    await userfc.execute("DELETE FROM revoked_tokens WHERE jti IN ('left-behind', 'long-known')")


async def test_only_tokens_that_no_clock_takes_for_valid_are_purged(userfc: Userfc) -> None:
    insert = "INSERT INTO revoked_tokens VALUES ($1, 1, now() - $2 * interval '1 s')"
    for name, age_s in (("over", 361), ("in-leeway", 340), ("ahead", -5)):
        await userfc.execute(insert, name, age_s)
    assert await purge_revocations(userfc.db) is False
    left = "SELECT array_agg(jti ORDER BY jti) FROM revoked_tokens WHERE jti = ANY($1)"
    assert await userfc.execute(left, ["over", "in-leeway", "ahead"]) == ["ahead", "in-leeway"]
