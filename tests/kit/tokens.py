"""Access tokens: valid ones as userfc makes them, and forged, damaged or misspelled ones."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chassis.auth.tokens import ISSUER, LIFETIME_S, MAX_TOKEN_LENGTH

Header = bytes
_HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


@dataclass(frozen=True)
class Account:
    """A registered user."""

    user_id: int
    email: str
    role: str = "user"


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@dataclass(frozen=True)
class Token:
    """A JSON Web Token made without a library, so that every part of it can be wrong."""

    claims: Mapping[str, Any]
    secret: bytes
    header: Mapping[str, Any]
    hashed_with: str = "HS256"

    @classmethod
    def of(cls, account: Account, secret: str) -> "Token":
        """Make a token as userfc does."""
        now = int(time.time())
        claims = {
            "user_id": account.user_id,
            "email": account.email,
            "role": account.role,
            "jti": f"forged-{time.time_ns()}",
            "iat": now,
            "exp": now + LIFETIME_S,
            "iss": ISSUER,
        }
        return cls(claims, secret.encode(), {"alg": "HS256", "typ": "JWT"})

    def claiming(self, **claims: Any) -> "Token":
        """Change claims; a claim that is `...` is left out."""
        changed = {**self.claims, **claims}
        return replace(self, claims={name: value for name, value in changed.items() if value is not ...})

    def headed(self, hashed_with: str = "HS256", secret: bytes | None = None, **header: Any) -> "Token":
        """Change the header, the hash and the key of the signature."""
        secret = self.secret if secret is None else secret
        return replace(self, header={**self.header, **header}, hashed_with=hashed_with, secret=secret)

    @property
    def unsigned(self) -> bytes:
        return b".".join(_b64(json.dumps(dict(part)).encode()) for part in (self.header, self.claims))

    @property
    def signature(self) -> bytes:
        return _b64(hmac.new(self.secret, self.unsigned, _HASHES[self.hashed_with]).digest())

    def __bytes__(self) -> bytes:
        return self.unsigned + b"." + self.signature


def bearer(token: Token | bytes) -> Header:
    """Make the value of the Authorization header."""
    return b"Bearer " + bytes(token)


def _algorithms(good: Token) -> Iterator[tuple[str, Header]]:
    for name in ("none", "None", "nOnE"):
        unsigned = good.headed(alg=name)
        yield f"alg {name}, no signature", bearer(unsigned.unsigned + b".")
        yield f"alg {name}, signed all the same", bearer(unsigned)
    for name in ("HS384", "HS512"):
        yield f"{name} with the same secret", bearer(good.headed(name, alg=name))
    for name in ("RS256", "ES256", "EdDSA", "", "hs256"):
        yield f"says {name or 'nothing'} and is signed as HS256", bearer(good.headed(alg=name))
    yield "no alg", bearer(replace(good, header={"typ": "JWT"}))
    yield "alg is a list", bearer(good.headed(alg=["HS256"]))


def _keys(good: Token) -> Iterator[tuple[str, Header]]:
    yield "wrong secret", bearer(good.headed(secret=b"another-secret-of-at-least-32-bytes-0123"))
    yield "empty secret", bearer(good.headed(secret=b""))
    yield "kid leads to an empty file", bearer(good.headed(secret=b"", kid="../../../../dev/null"))
    yield "kid is SQL that gives a key", bearer(good.headed(secret=b"mine", kid="x' UNION SELECT 'mine'--"))
    yield "kid is no text", bearer(good.headed(secret=b"mine", kid={"$ne": None}))
    yield "brings its own key", bearer(good.headed(secret=b"mine", jwk={"kty": "oct", "k": _b64(b"mine").decode()}))
    yield "names where its key is", bearer(good.headed(secret=b"mine", jku="http://127.0.0.1:1/keys.json"))
    yield "asks for an extension", bearer(good.headed(crit=["b64"], b64=False))


def _claims(good: Token) -> Iterator[tuple[str, Header]]:
    now = int(time.time())
    changes: dict[str, dict[str, Any]] = {
        "expired": {"iat": now - 2 * LIFETIME_S, "exp": now - LIFETIME_S},
        "expired longer ago than clocks differ": {"exp": now - 40},
        "made in the future": {"iat": now + 600},
        "not valid yet": {"nbf": now + 600},
        "wrong iss": {"iss": "orderfc"},
        "iss is a list": {"iss": [ISSUER]},
        "exp is text": {"exp": "tomorrow"},
        "exp is infinite": {"exp": float("inf")},
        "exp is after the last date": {"exp": 253_402_300_800},
        "exp is huge": {"exp": 10**400},
        "user_id is text": {"user_id": str(good.claims["user_id"])},
        "user_id is negative": {"user_id": -1},
        "user_id is zero": {"user_id": 0},
        "user_id is true": {"user_id": True},
        "user_id is a fraction": {"user_id": 1.0},
        "user_id is over 64 bits": {"user_id": 2**63},
        "user_id is null": {"user_id": None},
        "user_id is a list": {"user_id": [good.claims["user_id"]]},
        "role is a list": {"role": ["admin"]},
        "email has a NUL": {"email": "a\0@example.com"},
        "jti has half of a surrogate pair": {"jti": "\ud800"},
    }
    for name in ("iss", "exp", "iat", "user_id"):
        changes[f"no {name}"] = {name: ...}
    for name, claims in changes.items():
        yield name, bearer(good.claiming(**claims))


def _texts(good: Token) -> Iterator[tuple[str, Header]]:
    token = bytes(good)
    yield "signature is cut", bearer(token[:-5])
    yield "signature is gone", bearer(good.unsigned + b".")
    yield "signature and its dot are gone", bearer(good.unsigned)
    yield (
        "signature of another",
        bearer(good.claiming(user_id=good.claims["user_id"] + 1).unsigned + b"." + good.signature),
    )
    yield "one part too many", bearer(token + b".x")
    yield "characters outside ASCII", bearer("tökén.ünï.cödé".encode())
    yield "bytes that are no UTF-8", bearer(b"\xff\xfe." + token)
    yield "a good one after a byte that is none of it", bearer(b"\xe2" + token)
    yield "claims are a list", bearer(replace(good, claims={}).unsigned.split(b".")[0] + b"." + _b64(b"[1]") + b".x")
    yield "no JSON in it", bearer(b".".join(_b64(part) for part in (b"{", b"}", b"x")))
    yield "deep claims", bearer(good.unsigned.split(b".")[0] + b"." + _b64(b"[" * 5000) + b"." + good.signature)
    yield "too long", bearer(good.claiming(padding="x" * MAX_TOKEN_LENGTH))
    yield "far too long", bearer(b"x" * 30_000)
    yield "Basic", b"Basic " + base64.b64encode(b"admin@example.com:admin12345")
    yield "Basic with the token", b"Basic " + token
    yield "Bearer misspelled", b"Bearr " + token
    yield "Bearer and no space", b"Bearer" + token
    yield "Bearer alone", b"Bearer"
    yield "the token alone", token
    yield "Token", b"Token " + token
    yield "two tokens", bearer(token + b" " + token)
    yield "quotes", bearer(b'"' + token + b'"')


def forgeries(account: Account, secret: str) -> dict[str, Header]:
    """Return, by name, headers with exactly one defect; without it each would be a valid header of the account."""
    good = Token.of(account, secret)
    kinds: tuple[Callable[[Token], Iterator[tuple[str, Header]]], ...] = (_algorithms, _keys, _claims, _texts)
    return {name: header for kind in kinds for name, header in kind(good)}


def genuine(account: Account, secret: str) -> dict[str, Header]:
    """Return, by name, headers that look unusual and are valid."""
    good, now = Token.of(account, secret), int(time.time())
    return {
        "made by hand": bearer(good),
        "bearer in lower case": b"bearer " + bytes(good),
        "unneeded kid": bearer(good.headed(kid="../../dev/null")),
        "expired within the leeway": bearer(good.claiming(exp=now - 10)),
        "good until the last date": bearer(good.claiming(exp=253_402_300_799)),
        "no jti, email and role": bearer(good.claiming(jti=..., email=..., role=...)),
        "claims outside ASCII": bearer(good.claiming(email="zoë@exämple.com", name="Zoë 🦊")),
        "audience of another": bearer(good.claiming(aud="elsewhere")),
        "greatest length": bearer(_of_length(good, MAX_TOKEN_LENGTH)),
    }


def _of_length(token: Token, length: int) -> Token:
    """Pad a token to a length, or up to two characters less where base64 has no such length."""
    missing = length - len(bytes(token.claiming(padding="")))
    return token.claiming(padding="x" * (missing * 3 // 4 - 2))
