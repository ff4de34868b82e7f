"""Bearer tokens (HS256): made by userfc, checked in every service, with the role of their user."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import uuid4

import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from chassis import clock
from chassis.auth.revocation import Revocations, TokenRevoked
from chassis.config.declare import plain
from chassis.errors import Forbidden, Unauthenticated
from chassis.ids import storable

ALGORITHM = "HS256"
ISSUER = "userfc"
LIFETIME_S = 3600
LEEWAY_S = 30
# The difference of two services' clocks up to which `iat` may lie in the future.
CLOCKS_DIFFER_S = 300
ADMIN = "admin"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_TOKEN_LENGTH = 8192
MAX_ID = 2**63 - 1
# The verified tokens that a process remembers. The least recently used is forgotten first.
MAX_KNOWN = 10_000
# The last second that a timestamp column can hold: a log-out stores the token's end.
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
        return self.role == ADMIN

    @property
    def has_ended(self) -> bool:
        """Whether its token has, by the rule of PyJWT."""
        return self.exp <= clock.time() - LEEWAY_S


def encode_token(secret: str | SecretStr, *, user_id: int, email: str, role: str, now: float | None = None) -> str:
    """Make a token that is valid for an hour from `now` (seconds since 1970; default: the current time)."""
    issued = int(clock.time() if now is None else now)
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


class KnownTokens:
    """The principals of verified tokens.

    A verified token stays valid until it expires. Expiry is checked at each use.
    """

    def __init__(self) -> None:
        self._principals: OrderedDict[str, Principal] = OrderedDict()

    def get(self, token: str) -> Principal | None:
        principal = self._principals.get(token)
        if principal is None:
            return None
        if principal.has_ended:
            self.forget(token)
            return None
        self._principals.move_to_end(token)
        return principal

    def add(self, token: str, principal: Principal) -> None:
        self._principals[token] = principal
        if len(self._principals) > MAX_KNOWN:
            self._principals.popitem(last=False)

    def forget(self, token: str) -> None:
        self._principals.pop(token, None)


class TokenVerifier:
    """Checks signature, claims and revocation. Another secret needs another verifier, which knows no token yet."""

    def __init__(self, secret: str | SecretStr, revocations: Revocations | None = None) -> None:
        self._secret = plain(secret)
        self._revocations = revocations
        self.known = KnownTokens()

    def decode(self, token: str) -> Principal:
        """Check signature and claims. Raises Unauthenticated (`invalid_token`)."""
        principal = self.known.get(token)
        if principal is None:
            principal = self._decode(token)
            # PyJWT reads the machine's clock.
            if principal.has_ended:
                raise _invalid()
            self.known.add(token, principal)
        return principal

    def _decode(self, token: str) -> Principal:
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
        """Check signature, claims and revocation.

        Raises Unauthenticated (`invalid_token`), and Unavailable when the revocation of a `mutating` request can't be
        checked.
        """
        principal = self.decode(token)
        if self._revocations is not None:
            try:
                await self._revocations.check(principal.jti, token, principal.exp, mutating=mutating)
            except TokenRevoked:
                self.known.forget(token)
                raise
        return principal


def _principal(claims: dict[str, Any]) -> Principal:
    user_id, role, exp = claims["user_id"], claims.get("role", "user"), claims["exp"]
    email, jti = claims.get("email", ""), claims.get("jti", "")
    if type(user_id) is not int or not 1 <= user_id <= MAX_ID:
        raise _invalid()
    if not isinstance(exp, int | float) or exp > MAX_EXP:
        raise _invalid()
    if not _is_in_the_past(claims["iat"]):
        raise _invalid()
    for text in (role, email, jti):
        if not (isinstance(text, str) and _is_storable(text)):
            raise _invalid()
    return Principal(user_id=user_id, email=email, role=role, jti=jti, exp=int(exp))


def _is_in_the_past(iat: object) -> bool:
    """Return whether `iat` is a number in the past, allowing for clocks that differ by CLOCKS_DIFFER_S."""
    return isinstance(iat, int | float) and iat <= clock.time() + CLOCKS_DIFFER_S + LEEWAY_S


def _is_storable(text: str) -> bool:
    """Return whether a claim can be stored and sent: Redis, PostgreSQL and gRPC do not accept every string."""
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
    """Return the caller, checked by `app.state.verifier`.

    Raises Unauthenticated without a valid `Authorization: Bearer` header.
    """
    if credentials is None:
        if request.headers.get("authorization"):
            raise _invalid()
        raise Unauthenticated("Authentication is required")
    verifier: TokenVerifier = request.app.state.verifier
    return await verifier.verify(credentials.credentials, mutating=request.method not in SAFE_METHODS)


async def caller(request: Request) -> Principal:
    """Return the caller as `current_user` does, where FastAPI solves no dependencies."""
    return await current_user(request, await _bearer(request))


CurrentUser = Annotated[Principal, Depends(current_user)]


async def admin_user(user: CurrentUser) -> Principal:
    """Return the caller. Raises Forbidden unless it is an administrator."""
    if not user.is_admin:
        raise Forbidden("This needs the role admin")
    return user


AdminUser = Annotated[Principal, Depends(admin_user)]
