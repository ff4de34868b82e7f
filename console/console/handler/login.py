"""Log-in and log-out."""

import httpx2
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from chassis.http.body import KIB
from chassis.http.routing import Router, accepts
from console.client.userfc import LOGIN_S, NoToken
from console.errors import NotThisForm
from console.handler import rendering
from console.handler.session import (
    COOKIE,
    FORM_COOKIE,
    FORM_S,
    browser_of,
    count_log_in,
    form,
    form_token,
    person,
    remember,
    remember_session,
    token_of,
    user_token,
)

router = Router(include_in_schema=False)


@router.get("/login")
async def login_page(request: Request, next: str = "/") -> Response:  # noqa: A002
    """Ask for e-mail and password."""
    return _login(request, next)


def _login(request: Request, target: str, problem: str = "", status: int = 200) -> HTMLResponse:
    browser = browser_of(request)
    page = rendering.page(
        "login.html", status, form=form_token(request, browser), next=_own(target), problem=problem, person=None
    )
    remember(request, page, FORM_COOKIE, browser, FORM_S)
    return page


@router.post("/login")
@accepts(max_body=8 * KIB, form=True, before=count_log_in)
async def login(request: Request) -> Response:
    """Have userfc check the password; its token becomes the session."""
    fields = await form(request)
    target = _own(fields.get("next", "/"))
    try:
        token = await user_token(request, fields.get("email", ""), fields.get("password", ""))
    except NoToken as refused:
        page = _login(request, target, refused.sentence, refused.status)
        page.headers.update(refused.headers)
        return page
    answer = RedirectResponse(target, 303)
    remember_session(request, answer, token)
    return answer


@router.post("/logout")
@accepts(max_body=8 * KIB, form=True)
async def logout(request: Request) -> Response:
    """Revoke the token at userfc and forget it. While userfc has not revoked it, the session stays: to try again."""
    token = token_of(request)
    who = await person(request)
    if who is None and token:
        # It has ended, or was revoked. A form of another site never brings the cookie.
        return _logged_out()
    if who is None:
        raise NotThisForm
    await form(request, who.user_id)
    http: httpx2.AsyncClient = request.app.state.log_in_http
    try:
        headers = {"Authorization": f"Bearer {token}"}
        answer = await http.post(f"{request.app.state.urls['userfc']}/v1/logout", headers=headers, timeout=LOGIN_S)
    except httpx2.HTTPError:
        return _not_logged_out("userfc does not answer")
    # 401: it was revoked before, or has ended.
    if answer.status_code not in (200, 401):
        return _not_logged_out(f"userfc answers {answer.status_code}")
    return _logged_out()


def _logged_out() -> Response:
    page = RedirectResponse("/login", 303)
    page.delete_cookie(COOKIE, path="/")
    return page


def _not_logged_out(reason: str) -> HTMLResponse:
    text = f"{reason}. The session goes on: go back, and log out again."
    return rendering.page("message.html", 503, title="Not logged out", text=text, person=None)


def _own(target: str) -> str:
    """Return an address of this console; any other becomes `/`."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"
