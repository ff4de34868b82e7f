"""Who looks at a page: the person's own token in a cookie, checked as every service checks it."""

import hmac
import secrets
from hashlib import sha256
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request, Response

from chassis.auth.limits import Limit
from chassis.auth.tokens import LIFETIME_S, Principal, TokenVerifier
from chassis.config.declare import plain
from chassis.errors import Unauthenticated
from chassis.http.address import client_address, client_site
from console.client.userfc import log_in
from console.errors import NotThisForm

COOKIE = "console_session"
# Names the browser, for all of its tabs and sessions. A form is bound to it and to the person.
FORM_COOKIE = "console_form"
# Longer than a session, and than a log-in page stays open.
FORM_S = 12 * 3600
# The user id in the token of the log-in form.
NOBODY = 0
# Log-ins and renewals of one address: a third of what userfc allows.
LOG_INS = "20/minute"
# No form of the console has more fields.
MAX_FIELDS = 20


async def person(request: Request) -> Principal | None:
    """Return the signed-in administrator or user; None without a session, or when it has ended or was logged out."""
    token = request.cookies.get(COOKIE)
    verifier: TokenVerifier = request.app.state.verifier
    if not token:
        return None
    try:
        return await verifier.verify(token, mutating=request.method == "POST")
    except Unauthenticated:
        return None


def token_of(request: Request) -> str:
    return request.cookies.get(COOKIE, "")


def browser_of(request: Request) -> str:
    """Return the value of FORM_COOKIE, a new one for a browser that has none."""
    return request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(24)


def form_token(request: Request, browser: str, user_id: int = NOBODY) -> str:
    """Return the token that a form must carry. It outlives a session: other tabs go on after a renewal."""
    secret = plain(request.app.state.settings.jwt_secret)
    return hmac.new(secret.encode(), f"console form {user_id} {browser}".encode(), sha256).hexdigest()


async def form(request: Request, user_id: int = NOBODY) -> dict[str, str]:
    """Read the fields of a form. Raises NotThisForm unless it was made for this browser and person, on this site."""
    browser = request.cookies.get(FORM_COOKIE, "")
    body = (await request.body()).decode(errors="replace")
    try:
        fields = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=MAX_FIELDS))
        origin = urlsplit(request.headers.get("origin", ""))
    except ValueError:
        raise NotThisForm from None
    if not browser or origin.netloc != request.headers.get("host", "") or origin.scheme not in ("http", "https"):
        raise NotThisForm
    if not hmac.compare_digest(fields.get("form", "").encode(), form_token(request, browser, user_id).encode()):
        raise NotThisForm
    return fields


async def count_log_in(request: Request) -> None:
    """Count a try of the person's address. Raises TooManyTries.

    userfc counts, too, but for the console's address unless it trusts that (TRUSTED_PROXIES): a stranger could then use
    up what all operators have together. For IPv6 the /48 counts, because one customer may have it all.
    """
    log_ins: Limit = request.app.state.log_ins
    await log_ins.hit(client_site(request, request.app.state.settings.trusted_proxies))


async def user_token(request: Request, email: str, password: str) -> str:
    """Have userfc check a password, and return its token. Raises NoToken."""
    state = request.app.state
    address = client_address(request, state.settings.trusted_proxies).partition("/")[0]
    return await log_in(state.log_in_http, state.urls["userfc"], address, email, password)


def remember_session(request: Request, response: Response, token: str) -> None:
    """Set the session's cookie, and that of the browser, which so ends later."""
    remember(request, response, COOKIE, token, LIFETIME_S)
    remember(request, response, FORM_COOKIE, browser_of(request), FORM_S)


def remember(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    """Set a cookie that no script reads and no other site sends; over plain HTTP on a developer's machine only."""
    is_own = (request.url.hostname or "") in ("localhost", "127.0.0.1", "::1") and request.url.scheme == "http"
    local = is_own and request.app.state.settings.environment != "production"
    response.set_cookie(name, value, max_age=seconds, path="/", httponly=True, samesite="strict", secure=not local)
