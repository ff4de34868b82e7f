"""The HTTP routes of userfc."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import SecretStr

from chassis.auth.tokens import CurrentUser
from chassis.http.app import errors
from chassis.http.dependencies import Db, state
from userfc.config import Settings
from userfc.errors import UnknownTokenUser
from userfc.handler import schemas
from userfc.handler.address import client_address
from userfc.repository import users
from userfc.repository.limits import Limits
from userfc.repository.revoked_copy import RevokedCopy
from userfc.service.passwords import Passwords
from userfc.usecase.login import login
from userfc.usecase.logout import logout
from userfc.usecase.register import register

router = APIRouter(prefix="/v1", tags=["users"])


async def _address(request: Request, settings: Annotated[Settings, state("settings")]) -> str:
    return client_address(request, settings.trusted_proxies)


Address = Annotated[str, Depends(_address)]
Secret = Annotated[SecretStr, state("jwt_secret")]
UsePasswords = Annotated[Passwords, state("passwords")]
UseLimits = Annotated[Limits, state("limits")]
Copy = Annotated[RevokedCopy, state("copy")]


@router.post("/register", status_code=201, responses=errors(409, 429), summary="Register")
async def post_register(
    body: schemas.RegisterBody, db: Db, passwords: UsePasswords, limits: UseLimits, address: Address
) -> schemas.RegisteredView:
    """Create an account. 409 when the e-mail address is taken, compared without case."""
    await limits.registrations_of_address.hit(address)
    await register(db, passwords, body.new_user())
    return schemas.RegisteredView()


@router.post("/login", responses=errors(401, 429), summary="Sign in")
async def post_login(
    body: schemas.LoginBody, db: Db, passwords: UsePasswords, limits: UseLimits, secret: Secret, address: Address
) -> schemas.TokenView:
    """Check a password and return a token for an hour. An unknown address and a wrong password get the same answer."""
    await limits.logins_of_address.hit(address)
    token = await login(db, passwords, limits.failures_of_account, secret, body.email, body.password)
    return schemas.TokenView(token=token)


@router.get("/user-info", summary="Read the caller")
async def read_user_info(caller: CurrentUser, db: Db) -> schemas.UserView:
    """Read the token's user from the database."""
    user = await users.by_id(db, caller.user_id)
    if user is None:
        raise UnknownTokenUser
    return schemas.UserView(id=user.id, name=user.name, email=user.email, role=user.role)


@router.post("/logout", responses=errors(503), summary="Log out")
async def post_logout(user: CurrentUser, db: Db, copy: Copy) -> schemas.LoggedOutView:
    """Revoke this token: from now on every service refuses it."""
    await logout(db, copy, user)
    return schemas.LoggedOutView()
