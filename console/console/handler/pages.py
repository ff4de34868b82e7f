"""The pages: log-in and log-out, and the life of one order. They work without JavaScript."""

import secrets
from urllib.parse import quote

import httpx2
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from chassis.auth.tokens import Principal
from chassis.http.body import KIB
from chassis.http.routing import Router, accepts
from chassis.ids import PathId
from console.client.admin_api import AdminApi, Refused
from console.handler import rendering
from console.handler.session import COOKIE, FORM_COOKIE, form, form_token, person, remember, token_of
from console.model.timeline import timeline
from console.usecase.order_timeline import order_timeline

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


@router.get("/")
async def home(request: Request, order: str = "") -> Response:
    """Ask which order to show."""
    who = await person(request)
    if who is None:
        return _to_login(request)
    digits = order.strip().removeprefix("order-")
    if digits.isascii() and digits.isdigit() and 0 < len(digits) < 19:
        return RedirectResponse(f"/orders/{int(digits)}", 303)
    problem = "An order is named by its number, such as 42 or order-42" if order else ""
    return _page(request, who, "home.html", problem=problem)


@router.get("/orders/{order_id}")
async def order_page(request: Request, order_id: PathId) -> Response:
    """Show the life of an order. A source that is away leaves a line, and the rest is shown."""
    who = await person(request)
    if who is None:
        return _to_login(request)
    state = request.app.state
    try:
        facts = await order_timeline(AdminApi(state.http, state.urls, token_of(request)), state.log, order_id)
    except Refused as refusal:
        return _refused(request, who, refusal)
    if facts.is_empty:
        text = f"No service knows order {order_id}."
        return _page(request, who, "message.html", 404, title="Not found", text=text)
    return _page(request, who, "order.html", facts=facts, timeline=timeline(facts))


def _refused(request: Request, who: Principal, refusal: Refused) -> Response:
    if refusal.status == 401:
        return _to_login(request)
    text = "This needs the role admin."
    return _page(request, who, "message.html", 403, title="Not allowed", text=text)


def _page(request: Request, who: Principal, name: str, status: int = 200, **values: object) -> HTMLResponse:
    return rendering.page(name, status, person=who, form=form_token(request, token_of(request)), **values)


def _to_login(request: Request) -> Response:
    return RedirectResponse(f"/login?next={quote(_own(request.url.path))}", 303)


def _own(target: str) -> str:
    """Return an address of this console; any other becomes `/`."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"
