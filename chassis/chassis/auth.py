"""Bearer tokens: HS256 only, every claim required that is relied on, revocation honoured by every service."""

import hmac
import time
from dataclasses import dataclass
from typing import Annotated, Protocol
from uuid import uuid4

import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from chassis.errors import Forbidden, Unauthenticated
from chassis.ids import MAX_ID

ALGORITHM = "HS256"
ISSUER = "userfc"
LIFETIME_S = 3600
LEEWAY_S = 30
ADMIN = "admin"
_CHALLENGE = {"WWW-Authenticate": "Bearer"}

bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="The token that POST /v1/login answers")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking; `exp` is seconds since the epoch."""

    user_id: int
    email: str
    role: str
    jti: str
    exp: int

    @property
    def is_admin(self) -> bool:
        """Tell whether the caller has the role of an administrator."""
        return self.role == ADMIN


class RevocationCheck(Protocol):
    """Tells whether a token has been logged out. Raises Unavailable when that can't be known."""

    async def check(self, principal: Principal, token: str, *, mutating: bool) -> bool: ...  # noqa: D102


def invalid_token(sentence: str = "invalid or expired token") -> Unauthenticated:
    """Make the 401 of a token that is not accepted."""
    return Unauthenticated(sentence, code="invalid_token", headers=_CHALLENGE)


def encode_token(secret: str, *, user_id: int, email: str, role: str, now: float | None = None) -> str:
    """Make a token that is valid for an hour."""
    issued = int(now if now is not None else time.time())
    claims = {
        "user_id": user_id,
        "email": email,
        "role": role,
        "jti": uuid4().hex,
        "iat": issued,
        "exp": issued + LIFETIME_S,
        "iss": ISSUER,
    }
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


def decode_token(secret: str, token: str) -> Principal:
    """Read a token. Raises Unauthenticated (`invalid_token`) for every token that is not exactly one of ours."""
    try:
        claims = jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            leeway=LEEWAY_S,
            options={"require": ["exp", "iat", "user_id", "jti"]},
        )
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise invalid_token() from error
    user_id, email, role, jti = (claims.get(name) for name in ("user_id", "email", "role", "jti"))
    if type(user_id) is not int or not 1 <= user_id <= MAX_ID or type(claims["exp"]) not in (int, float):
        raise invalid_token()
    if not isinstance(jti, str) or not jti or len(jti) > 128:
        raise invalid_token()
    return Principal(
        user_id=user_id,
        email=email if isinstance(email, str) else "",
        role=role if isinstance(role, str) else "user",
        jti=jti,
        exp=int(claims["exp"]),
    )


class TokenVerifier:
    """Verifies bearer tokens and asks whether they have been revoked."""

    def __init__(self, secret: str, revocations: RevocationCheck) -> None:
        self._secret = secret
        self._revocations = revocations

    async def verify(self, token: str, *, mutating: bool = True) -> Principal:
        """Return who the token speaks for.

        Raises Unauthenticated for a token that is not valid or was revoked, and Unavailable when a route that changes
        something can't learn whether it was revoked.
        """
        principal = decode_token(self._secret, token)
        if await self._revocations.check(principal, token, mutating=mutating):
            raise invalid_token("token has been revoked")
        return principal


async def current_user(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Principal:
    """FastAPI dependency: the caller, or 401."""
    if credentials is None:
        raise Unauthenticated("a bearer token is required", headers=_CHALLENGE)
    verifier: TokenVerifier = request.app.state.verifier
    return await verifier.verify(credentials.credentials, mutating=request.method not in {"GET", "HEAD", "OPTIONS"})


async def admin_user(principal: Annotated[Principal, Depends(current_user)]) -> Principal:
    """FastAPI dependency: the caller when it is an administrator, else 403."""
    if not principal.is_admin:
        raise Forbidden("the role admin is required")
    return principal


CurrentUser = Annotated[Principal, Depends(current_user)]
AdminUser = Annotated[Principal, Depends(admin_user)]


def same_secret(given: str | bytes | None, expected: str) -> bool:
    """Compare a credential in constant time; an empty expectation matches nothing."""
    if not given or not expected:
        return False
    raw = given if isinstance(given, bytes) else given.encode("utf-8", "surrogatepass")
    return hmac.compare_digest(raw, expected.encode())
