"""Log-in and log-out."""

import secrets
from collections.abc import Mapping
from types import MappingProxyType

import httpx2
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from chassis.http.address import client_address
from chassis.http.body import KIB
from chassis.http.routing import Router, accepts
from console.handler import rendering
from console.handler.session import COOKIE, FORM_COOKIE, form, form_token, remember, token_of

router = Router(include_in_schema=False)

LOGIN_S = 10.0


@router.get("/login")
async def login_page(request: Request, next: str = "/") -> Response:  # noqa: A002
    """Ask for e-mail and password."""
    return _login(request, next)


def _login(request: Request, target: str, problem: str = "", status: int = 200) -> HTMLResponse:
    bound = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(24)
    page = rendering.page(
        "login.html", status, form=form_token(request, bound), next=_own(target), problem=problem, person=None
    )
    remember(request, page, FORM_COOKIE, bound)
    return page


@router.post("/login")
@accepts(max_body=8 * KIB, form=True)
async def login(request: Request) -> Response:
    """Have userfc check the password; its token becomes the session."""
    fields = await form(request, request.cookies.get(FORM_COOKIE, ""))
    target = _own(fields.get("next", "/"))
    try:
        token = await _token(request, fields.get("email", ""), fields.get("password", ""))
    except NoToken as refused:
        page = _login(request, target, refused.sentence, refused.status)
        page.headers.update(refused.headers)
        return page
    answer = RedirectResponse(target, 303)
    remember(request, answer, COOKIE, token)
    return answer


class NoToken(Exception):
    """userfc refuses to log a person in, or does not answer; `headers` belong to the answer."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers


async def _token(request: Request, email: str, password: str) -> str:
    """Have userfc check the password. Raises NoToken."""
    http: httpx2.AsyncClient = request.app.state.http
    url, body = f"{request.app.state.urls['userfc']}/v1/login", {"email": email, "password": password}
    # userfc counts tries by address, if it trusts this console's (TRUSTED_PROXIES).
    address = client_address(request, request.app.state.settings.trusted_proxies).partition("/")[0]
    try:
        answer = await http.post(url, json=body, headers={"X-Forwarded-For": address}, timeout=LOGIN_S)
        said = answer.json()
        if answer.status_code == 200:
            return str(said["token"])
        kept = {name: value for name in ("Retry-After",) if (value := answer.headers.get(name))}
        raise NoToken(answer.status_code, str(said["error"]), kept)
    except (httpx2.HTTPError, ValueError, KeyError, TypeError):
        raise NoToken(503, "userfc does not answer", {"Retry-After": "2"}) from None


@router.post("/logout")
@accepts(max_body=8 * KIB, form=True)
async def logout(request: Request) -> Response:
    """Revoke the token at userfc and forget it."""
    token = token_of(request)
    await form(request, token)
    http: httpx2.AsyncClient = request.app.state.http
    page = RedirectResponse("/login", 303)
    page.delete_cookie(COOKIE, path="/")
    try:
        headers = {"Authorization": f"Bearer {token}"}
        await http.post(f"{request.app.state.urls['userfc']}/v1/logout", headers=headers, timeout=LOGIN_S)
    except httpx2.HTTPError:
        return rendering.page("message.html", 503, title="Not logged out", text="userfc does not answer", person=None)
    return page


def _own(target: str) -> str:
    """Return an address of this console; any other becomes `/`."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"
