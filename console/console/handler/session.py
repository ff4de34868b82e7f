"""Who looks at a page: the person's own token in a cookie, checked as every service checks it."""

import hmac
from hashlib import sha256
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request, Response

from chassis.auth.limits import Limit
from chassis.auth.tokens import LIFETIME_S, Principal, TokenVerifier
from chassis.config.declare import plain
from chassis.errors import Unauthenticated
from chassis.http.address import client_address, client_site
from console.client.log_in import log_in
from console.errors import NotThisForm

COOKIE = "console_session"
# Before there is a session, the form is bound to this cookie.
FORM_COOKIE = "console_form"
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


def form_token(request: Request, of: str) -> str:
    """Return the token that a form must carry for the cookie value `of`."""
    secret = plain(request.app.state.settings.jwt_secret)
    return hmac.new(secret.encode(), f"console form {of}".encode(), sha256).hexdigest()


async def form(request: Request, of: str) -> dict[str, str]:
    """Read the fields of a form. Raises NotThisForm unless it was made for the cookie value `of`, on this site."""
    body = (await request.body()).decode(errors="replace")
    try:
        fields = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=MAX_FIELDS))
        origin = urlsplit(request.headers.get("origin", ""))
    except ValueError:
        raise NotThisForm from None
    if not of or origin.netloc != request.headers.get("host", "") or origin.scheme not in ("http", "https"):
        raise NotThisForm
    if not hmac.compare_digest(fields.get("form", "").encode(), form_token(request, of).encode()):
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


def remember(request: Request, response: Response, name: str, value: str, seconds: int = LIFETIME_S) -> None:
    """Set a cookie that no script reads and no other site sends; over plain HTTP on a developer's machine only."""
    is_own = (request.url.hostname or "") in ("localhost", "127.0.0.1", "::1") and request.url.scheme == "http"
    local = is_own and request.app.state.settings.environment != "production"
    response.set_cookie(name, value, max_age=seconds, path="/", httponly=True, samesite="strict", secure=not local)
