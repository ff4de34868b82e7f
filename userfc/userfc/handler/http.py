"""The HTTP routes of userfc."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from chassis.auth.tokens import CurrentUser
from chassis.db.database import Database
from chassis.errors import Unauthenticated
from chassis.http.app import errors
from userfc.config import Settings
from userfc.handler import schemas
from userfc.handler.address import client_address
from userfc.repository import users
from userfc.repository.limits import Limit
from userfc.repository.revoked_copy import RevokedCopy
from userfc.service.passwords import Passwords
from userfc.usecase.login import Login
from userfc.usecase.logout import logout
from userfc.usecase.register import register

router = APIRouter(prefix="/v1", tags=["users"])


@dataclass(frozen=True)
class Resources:
    """What the routes work with; the composition root puts it on `app.state.resources`."""

    settings: Settings
    db: Database
    passwords: Passwords
    login: Login
    copy: RevokedCopy
    login_tries: Limit
    registrations: Limit


async def _resources(request: Request) -> Resources:
    found: Resources = request.app.state.resources
    return found


async def _address(request: Request) -> str:
    settings: Settings = request.app.state.settings
    return client_address(request, settings.trusted_proxies)


Use = Annotated[Resources, Depends(_resources)]
Address = Annotated[str, Depends(_address)]


@router.post("/register", status_code=201, responses=errors(409, 429), summary="Register")
async def post_register(body: schemas.RegisterBody, use: Use, address: Address) -> schemas.RegisteredView:
    """Register; 409 when the e-mail address is taken, compared without case."""
    await use.registrations.hit(address)
    await register(use.db, use.passwords, body.new_user())
    return schemas.RegisteredView()


@router.post("/login", responses=errors(401, 429), summary="Sign in")
async def post_login(body: schemas.LoginBody, use: Use, address: Address) -> schemas.TokenView:
    """Sign in; an unknown address and a wrong password get the same answer, after the same time."""
    await use.login_tries.hit(address)
    return schemas.TokenView(token=await use.login(body.email, body.password))


@router.get("/user-info", summary="Who am I?")
async def read_user_info(user: CurrentUser, use: Use) -> schemas.UserView:
    """Say who the token belongs to, as the database knows it now."""
    found = await users.by_id(use.db, user.user_id)
    if found is None:
        raise Unauthenticated("The token's user does not exist", code="invalid_token")
    return schemas.UserView(id=found.id, name=found.name, email=found.email, role=found.role)


@router.post("/logout", responses=errors(503), summary="Log out")
async def post_logout(user: CurrentUser, use: Use) -> schemas.LoggedOutView:
    """Log out: this token is refused by every service from now on."""
    await logout(use.db, use.copy, user)
    return schemas.LoggedOutView()
