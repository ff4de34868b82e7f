"""Who is asking: HS256 bearer tokens made by userfc, checked in every service, and the roles they carry."""

import time
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import uuid4

import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from chassis.auth.revocation import Revocations
from chassis.config.settings import plain
from chassis.errors import Forbidden, Unauthenticated
from chassis.ids import storable

ALGORITHM = "HS256"
ISSUER = "userfc"
LIFETIME_S = 3600
LEEWAY_S = 30
# How far the clocks of two services may differ before a token of one is from the future for the other.
CLOCKS_DIFFER_S = 300
ADMIN = "admin"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_TOKEN_LENGTH = 8192
MAX_ID = 2**63 - 1
# The last second that a date can name: a log-out writes down when the token would have ended.
MAX_EXP = 253_402_300_799


@dataclass(frozen=True, slots=True)
class Principal:
    """The user behind a valid token. `exp` is in seconds since 1970; `jti` is "" in a token without one."""

    user_id: int
    email: str
    role: str
    jti: str
    exp: int

    @property
    def is_admin(self) -> bool:
        """Tell whether the user has the role `admin`; unknown roles are ordinary users."""
        return self.role == ADMIN


def encode_token(secret: str | SecretStr, *, user_id: int, email: str, role: str, now: float | None = None) -> str:
    """Make a token that is valid for an hour from `now` (seconds since 1970; default: the clock)."""
    issued = int(time.time() if now is None else now)
    claims = {
        "user_id": user_id,
        "email": email,
        "role": role,
        "jti": str(uuid4()),
        "iat": issued,
        "exp": issued + LIFETIME_S,
        "iss": ISSUER,
    }
    return jwt.encode(claims, plain(secret), algorithm=ALGORITHM)


class TokenVerifier:
    """Checks tokens: signature, claims, and whether they were revoked."""

    def __init__(self, secret: str | SecretStr, revocations: Revocations | None = None) -> None:
        self._secret = plain(secret)
        self._revocations = revocations

    def decode(self, token: str) -> Principal:
        """Check the token alone. Raises Unauthenticated (`invalid_token`)."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise _invalid()
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                leeway=LEEWAY_S,
                options={
                    "require": ["exp", "iat", "iss", "user_id"],
                    "verify_iat": False,
                    "verify_aud": False,
                    "verify_sub": False,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise _invalid() from None
        return _principal(claims)

    async def verify(self, token: str, *, mutating: bool = True) -> Principal:
        """Check the token and its revocation.

        Raises Unauthenticated (`invalid_token`), or Unavailable when a `mutating` request can't be cleared.
        """
        principal = self.decode(token)
        if self._revocations is not None:
            await self._revocations.check(principal.jti, token, mutating=mutating)
        return principal


def _principal(claims: dict[str, Any]) -> Principal:
    user_id, role, exp = claims["user_id"], claims.get("role", "user"), claims["exp"]
    email, jti = claims.get("email", ""), claims.get("jti", "")
    if type(user_id) is not int or not 1 <= user_id <= MAX_ID:
        raise _invalid()
    if not isinstance(exp, int | float) or exp > MAX_EXP:
        raise _invalid()
    if not _was_made(claims["iat"]):
        raise _invalid()
    for text in (role, email, jti):
        if not (isinstance(text, str) and _is_storable(text)):
            raise _invalid()
    return Principal(user_id=user_id, email=email, role=role, jti=jti, exp=int(exp))


def _was_made(iat: object) -> bool:
    """Tell whether a token is of the past, by a clock that may be late: who has just signed in must not be refused."""
    return isinstance(iat, int | float) and iat <= time.time() + CLOCKS_DIFFER_S + LEEWAY_S


def _is_storable(text: str) -> bool:
    """Tell whether a claim can be looked up and passed on: no store and no gRPC message takes every string."""
    try:
        storable(text)
    except ValueError:
        return False
    return True


def _invalid() -> Unauthenticated:
    return Unauthenticated(
        "The token is not valid",
        code="invalid_token",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )


_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="bearer",
    bearerFormat="JWT",
    description="The token that POST /v1/login of userfc gives",
)


async def current_user(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    """Give the caller. Raises Unauthenticated without a valid `Authorization: Bearer` header.

    Reads the TokenVerifier from `app.state.verifier`.
    """
    if credentials is None:
        if request.headers.get("authorization"):
            raise _invalid()
        raise Unauthenticated("Authentication is required")
    verifier: TokenVerifier = request.app.state.verifier
    return await verifier.verify(credentials.credentials, mutating=request.method not in SAFE_METHODS)


CurrentUser = Annotated[Principal, Depends(current_user)]


async def admin_user(user: CurrentUser) -> Principal:
    """Give the caller when it is an administrator. Raises Forbidden else."""
    if not user.is_admin:
        raise Forbidden("This needs the role admin")
    return user


AdminUser = Annotated[Principal, Depends(admin_user)]
