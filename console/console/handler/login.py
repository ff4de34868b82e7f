"""Log-in and log-out, and the files that pages load."""

import secrets

import httpx2
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from chassis.http.body import KIB
from chassis.http.routing import Router, accepts
from console.handler import rendering
from console.handler.session import COOKIE, FORM_COOKIE, form, form_token, remember, token_of

router = Router(include_in_schema=False)

LOGIN_S = 10.0


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """Give a file that the pages load."""
    return rendering.file(name)


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
    http: httpx2.AsyncClient = request.app.state.http
    body = {"email": fields.get("email", ""), "password": fields.get("password", "")}
    target = _own(fields.get("next", "/"))
    try:
        answer = await http.post(f"{request.app.state.urls['userfc']}/v1/login", json=body, timeout=LOGIN_S)
    except httpx2.HTTPError:
        return _login(request, target, "userfc does not answer", 503)
    if answer.status_code != 200:
        return _login(request, target, answer.json().get("error", "refused"), answer.status_code)
    page = RedirectResponse(target, 303)
    remember(request, page, COOKIE, answer.json()["token"])
    return page


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
