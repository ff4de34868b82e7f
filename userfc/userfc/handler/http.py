"""The HTTP routes of userfc."""

from typing import Annotated

from fastapi import Depends, Request
from pydantic import SecretStr

from chassis.auth.limits import Limit
from chassis.auth.tokens import CurrentUser
from chassis.http.address import client_address, client_site
from chassis.http.app import errors
from chassis.http.body import KIB
from chassis.http.dependencies import Db, state
from chassis.http.routing import Router, accepts
from userfc.errors import UnknownTokenUser
from userfc.handler import schemas
from userfc.repository import users
from userfc.repository.limits import Limits
from userfc.repository.revoked_copy import RevokedCopy
from userfc.service.passwords import Passwords
from userfc.usecase.login import login
from userfc.usecase.logout import logout
from userfc.usecase.register import register

router = Router(prefix="/v1", tags=["users"])


MAX_BODY = 8 * KIB


async def _address(request: Request) -> str:
    return client_address(request, request.app.state.settings.trusted_proxies)


async def _count_login(request: Request) -> None:
    limits: Limits = request.app.state.limits
    await _count(request, limits.logins_of_address, limits.logins_of_site)


async def _count_registration(request: Request) -> None:
    limits: Limits = request.app.state.limits
    await _count(request, limits.registrations_of_address, limits.registrations_of_site)


async def _count(request: Request, of_address: Limit, of_site: Limit) -> None:
    trusted = request.app.state.settings.trusted_proxies
    address, site = client_address(request, trusted), client_site(request, trusted)
    await of_address.hit(address)
    if site != address:
        await of_site.hit(site)


Address = Annotated[str, Depends(_address)]
Secret = Annotated[SecretStr, state("jwt_secret")]
UsePasswords = Annotated[Passwords, state("passwords")]
UseLimits = Annotated[Limits, state("limits")]
Copy = Annotated[RevokedCopy, state("copy")]


@router.post("/register", status_code=201, responses=errors(409, 429), summary="Register")
@accepts(max_body=MAX_BODY, before=_count_registration)
async def post_register(body: schemas.RegisterBody, db: Db, passwords: UsePasswords) -> schemas.RegisteredView:
    """Create an account. 409 when the e-mail address is taken, compared without case."""
    await register(db, passwords, body.new_user())
    return schemas.RegisteredView()


@router.post("/login", responses=errors(401, 429, 503), summary="Sign in")
@accepts(max_body=MAX_BODY, before=_count_login)
async def post_login(
    body: schemas.LoginBody, db: Db, passwords: UsePasswords, limits: UseLimits, secret: Secret, address: Address
) -> schemas.TokenView:
    """Check a password and return a token for an hour. An unknown address and a wrong password get the same answer."""
    token = await login(db, passwords, limits, secret, address=address, email=body.email, password=body.password)
    return schemas.TokenView(token=token)


@router.get("/user-info", summary="Read the caller")
async def read_user_info(caller: CurrentUser, db: Db) -> schemas.UserView:
    """Read the token's user from the database."""
    user = await users.by_id(db, caller.user_id)
    if user is None:
        raise UnknownTokenUser
    return schemas.UserView(id=user.id, name=user.name, email=user.email, role=user.role)


@router.post("/logout", responses=errors(503), summary="Log out")
@accepts(max_body=MAX_BODY)
async def post_logout(user: CurrentUser, db: Db, copy: Copy) -> schemas.LoggedOutView:
    """Revoke this token: from now on every service refuses it."""
    await logout(db, copy, user)
    return schemas.LoggedOutView()
