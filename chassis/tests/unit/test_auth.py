"""Tokens: what is accepted, and everything else."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from chassis.auth.tokens import MAX_EXP, TokenVerifier, encode_token
from chassis.errors import Unauthenticated

SECRET = "s" * 64
CLAIMS: dict[str, Any] = {
    "user_id": 7,
    "email": "a@example.com",
    "role": "user",
    "jti": "j",
    "iat": 0,
    "exp": 60,
    "iss": "userfc",
}


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good token of now; `iat` and `exp` are in seconds from now, None leaves a claim out."""
    now = int(time.time())
    made = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    return made | {name: now + made[name] for name in ("iat", "exp") if isinstance(made.get(name), int)}


def token(**changes: Any) -> str:
    """Sign such claims, also those that `jwt.encode` refuses to sign."""
    return jwt.PyJWS().encode(json.dumps(claims(**changes)).encode(), SECRET, algorithm="HS256")


def unsigned() -> str:
    """Make a token that says it needs no signature."""
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims())]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


async def test_a_token_made_here_is_accepted() -> None:
    made = encode_token(SECRET, user_id=7, email="a@example.com", role="admin")
    principal = await TokenVerifier(SECRET).verify(made)
    assert (principal.user_id, principal.email, principal.is_admin) == (7, "a@example.com", True)
    assert len(principal.jti) == 36
    assert 3590 < principal.exp - time.time() <= 3600


def test_two_tokens_have_two_ids() -> None:
    verifier = TokenVerifier(SECRET)
    made = [verifier.decode(encode_token(SECRET, user_id=7, email="", role="user")).jti for _ in range(2)]
    assert made[0] != made[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"iat": None},
        {"user_id": None},
        {"iss": None},
        {"iss": "other"},
        {"exp": -31},
        {"iat": 3600},
        {"iat": 340},
        {"iat": "soon"},
        {"iat": "0"},
        {"iat": float("nan")},
        {"user_id": True},
        {"user_id": 0},
        {"user_id": "7"},
        {"user_id": 7.0},
        {"user_id": 2**63},
        {"role": ["admin"]},
        {"role": 1},
        {"jti": 5},
        {"jti": "a\x00b"},
        {"jti": "\ud800"},
        {"email": "\ud800@example.com"},
        {"role": "user\x00"},
        {"exp": "soon"},
        {"exp": MAX_EXP},
        {"exp": 10**400},
    ],
)
def test_wrong_claims_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated) as caught:
        TokenVerifier(SECRET).decode(token(**changes))
    assert caught.value.code == "invalid_token"


@pytest.mark.parametrize(
    "make",
    [
        lambda: jwt.encode(claims(), "t" * 64, algorithm="HS256"),
        lambda: jwt.encode(claims(), SECRET, algorithm="HS512"),
        unsigned,
        lambda: token()[:-1],
        lambda: "",
        lambda: "a.b.c",
        lambda: "x" * 100_000,
        lambda: "\udcff",
    ],
)
def test_forged_and_broken_tokens_are_refused(make: Callable[[], str]) -> None:
    with pytest.raises(Unauthenticated):
        TokenVerifier(SECRET).decode(make())


def test_clocks_may_differ_by_thirty_seconds() -> None:
    for behind_or_ahead in ({"exp": -20}, {"iat": 20}):
        assert TokenVerifier(SECRET).decode(token(**behind_or_ahead)).user_id == 7


def test_a_token_that_was_made_by_a_clock_five_minutes_ahead_is_good_at_once() -> None:
    assert TokenVerifier(SECRET).decode(token(iat=300)).user_id == 7


def test_only_the_required_claims_are_required() -> None:
    assert TokenVerifier(SECRET).decode(token(jti=None, email=None, role=None)).role == "user"


def test_an_unknown_role_is_an_ordinary_user() -> None:
    assert not TokenVerifier(SECRET).decode(token(role="ADMIN")).is_admin
