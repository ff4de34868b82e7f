"""A token that was verified is not verified again, but is checked at each use for all that may change."""

import time
from typing import Any

import jwt
import pytest

from chassis.auth import tokens
from chassis.auth.revocation import TokenRevoked
from chassis.auth.tokens import LEEWAY_S, LIFETIME_S, Principal, TokenVerifier, encode_token
from chassis.errors import Unauthenticated, Unavailable

SECRET, OTHER = "s" * 64, "t" * 64


class Revocations:
    """Plays the look-up of revoked tokens; `answer` is what it raises."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Exception | None = None

    async def check(self, jti: str, token: str, exp: float, *, mutating: bool) -> None:
        self.asked.append(token)
        if self.answer is not None:
            raise self.answer


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature was computed."""
    seen: list[str] = []
    decode = jwt.decode

    def counting(token: str, *arguments: Any, **options: Any) -> Any:
        seen.append(token)
        return decode(token, *arguments, **options)

    monkeypatch.setattr(jwt, "decode", counting)
    return seen


def made(user_id: int = 7, *, secret: str = SECRET, now: float | None = None) -> str:
    return encode_token(secret, user_id=user_id, email=f"u{user_id}@example.com", role="user", now=now)


async def test_the_signature_is_computed_once_and_the_revocation_is_asked_for_at_each_use(verified: list[str]) -> None:
    revocations: Any = Revocations()
    verifier, token = TokenVerifier(SECRET, revocations), made()
    first = await verifier.verify(token)
    assert [await verifier.verify(token) for _ in range(4)] == [first] * 4
    assert verified == [token]
    assert revocations.asked == [token] * 5


async def test_a_revoked_token_is_refused_at_once_and_no_longer_kept(verified: list[str]) -> None:
    revocations: Any = Revocations()
    verifier, token, other = TokenVerifier(SECRET, revocations), made(), made(8)
    for each in (token, other):
        await verifier.verify(each)
    revocations.answer = TokenRevoked()
    for _ in range(2):
        with pytest.raises(TokenRevoked):
            await verifier.verify(token)
    revocations.answer = None
    await verifier.verify(other)
    assert verified == [token, other, token]


async def test_a_revocation_that_can_not_be_checked_leaves_the_token_where_it_is(verified: list[str]) -> None:
    revocations: Any = Revocations()
    verifier, token = TokenVerifier(SECRET, revocations), made()
    await verifier.verify(token)
    revocations.answer = Unavailable("not now")
    with pytest.raises(Unavailable):
        await verifier.verify(token)
    revocations.answer = None
    await verifier.verify(token)
    assert verified == [token]


def test_a_token_is_known_until_it_ends_and_is_then_verified_as_any_other(
    monkeypatch: pytest.MonkeyPatch, verified: list[str]
) -> None:
    now = int(time.time())
    verifier, token = TokenVerifier(SECRET), made(now=now)
    end = now + LIFETIME_S + LEEWAY_S
    for clock in (now, end - 0.5):
        monkeypatch.setattr(time, "time", lambda clock=clock: clock)
        verifier.decode(token)
    assert len(verified) == 1
    # The library reads another clock, by which the token is good.
    monkeypatch.setattr(time, "time", lambda: end)
    with pytest.raises(Unauthenticated):
        verifier.decode(token)
    assert len(verified) == 2


def test_the_rule_for_the_end_of_a_known_token_is_that_of_the_library() -> None:
    now = time.time()
    for left in (-2, -1, 1, 2):
        token = made(now=now - LIFETIME_S - LEEWAY_S + left)
        fresh = TokenVerifier(SECRET)
        known = tokens.KnownTokens()
        known.add(token, Principal(7, "", "user", "", int(now - LEEWAY_S + left)))
        if known.get(token) is None:
            with pytest.raises(Unauthenticated):
                fresh.decode(token)
        else:
            assert fresh.decode(token).user_id == 7


def test_after_a_rotation_of_the_key_no_token_of_the_old_one_is_known() -> None:
    token = made()
    assert TokenVerifier(SECRET).decode(token).user_id == 7
    rotated = TokenVerifier(OTHER)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            rotated.decode(token)
    assert rotated.decode(made(secret=OTHER)).user_id == 7


def test_a_refused_token_is_never_known(verified: list[str]) -> None:
    verifier, forged = TokenVerifier(SECRET), made(secret=OTHER)
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            verifier.decode(forged)
    assert verified == [forged] * 3


def test_the_token_that_was_used_longest_ago_is_forgotten_first(
    monkeypatch: pytest.MonkeyPatch, verified: list[str]
) -> None:
    monkeypatch.setattr(tokens, "MAX_KNOWN", 3)
    verifier, made_tokens = TokenVerifier(SECRET), [made(user_id) for user_id in (1, 2, 3, 4)]
    for token in made_tokens[:3]:
        verifier.decode(token)
    verifier.decode(made_tokens[0])
    verifier.decode(made_tokens[3])
    verified.clear()
    for token in (made_tokens[0], made_tokens[2], made_tokens[3], made_tokens[1]):
        verifier.decode(token)
    assert verified == [made_tokens[1]]


@pytest.mark.parametrize("added", ["!!!!", "\n", "====", "AAAA", " "])
def test_nobody_can_make_more_texts_of_a_token_that_would_each_take_a_place(added: str) -> None:
    head, signature = made().rsplit(".", 1)
    for form in (f"{head}.{signature}{added}", f"{head}.{signature[:8]}{added}{signature[8:]}"):
        with pytest.raises(Unauthenticated):
            TokenVerifier(SECRET).decode(form)
