"""A signed-in person's visit to one page: who it is, what may be asked for them, and how the page is answered."""

from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, HTTPException, Request
from fastapi.responses import HTMLResponse

from chassis import clock
from chassis.auth.tokens import Principal
from chassis.errors import Forbidden, Unauthenticated
from console.client.admin_api import AdminApi
from console.handler import rendering
from console.handler.session import FORM_COOKIE, FORM_S, browser_of, form, form_token, person, remember, token_of

# The address of a stream is this, and the address of its page.
LIVE = "/live"


class NotSignedIn(HTTPException):
    """There is no session, or it has ended: the answer leads to the log-in and from there back to the page."""

    def __init__(self, address: str) -> None:
        super().__init__(303, "Log in first", {"Location": f"/login?next={quote(address)}"})


class Visit:
    """One request of a signed-in person."""

    def __init__(self, request: Request, who: Principal) -> None:
        self.request = request
        self.state = request.app.state
        self.who = who
        self.api = AdminApi(self.state.http, self.state.urls, token_of(request))
        self._browser = browser_of(request)
        query = request.url.query
        # For a stream, the address of its page.
        self.path = request.url.path.removeprefix(LIVE)
        self.address = f"{self.path}?{query}" if query else self.path

    @property
    def form_token(self) -> str:
        """The token that each form for this person must carry."""
        return form_token(self.request, self._browser, self.who.user_id)

    def page(self, name: str, status: int = 200, part: str = "", **values: object) -> HTMLResponse:
        """Answer with a template. It knows `person` and `form`, the token that each form of the page must carry.

        `part` is the template of what changes while the page is looked at. The value `says` is a sentence that tells of
        it to those who can't see it.
        """
        common = {"person": self.who, "form": self.form_token, "path": self.path}
        left_s = max(round(self.who.exp - clock.time()), 0)
        common["navigation"] = rendering.navigation(self.state.settings.environment)
        pack = "gzip" in self.request.headers.get("accept-encoding", "")
        page = rendering.page(
            name, status, pack=pack, part=part, address=self.address, left_s=left_s, **common, **values
        )
        if FORM_COOKIE not in self.request.cookies:
            remember(self.request, page, FORM_COOKIE, self._browser, FORM_S)
        return page

    def message(self, title: str, text: str, status: int = 200) -> HTMLResponse:
        """Answer with a sentence instead of the page."""
        return self.page("message.html", status, title=title, text=text)

    async def form(self) -> dict[str, str]:
        """Read the fields of a form of this person in this browser. Raises NotThisForm."""
        return await form(self.request, self.who.user_id)


def _back(request: Request) -> str:
    """Return the address to come back to: that of the page, or of the page whose form was sent."""
    try:
        parts = urlsplit(str(request.url) if request.method == "GET" else request.headers.get("referer", ""))
    except ValueError:
        return "/"
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


async def visit(request: Request) -> Visit:
    """Return the visit of an administrator. Raises NotSignedIn, and Forbidden for a user without the role."""
    who = await person(request)
    if who is None and request.url.path.startswith(f"{LIVE}/"):
        raise Unauthenticated("Log in first")
    if who is None:
        raise NotSignedIn(_back(request))
    if not who.is_admin:
        raise Forbidden("This needs the role admin")
    return Visit(request, who)


Visitor = Annotated[Visit, Depends(visit)]
"""A parameter of this type needs a signed-in administrator."""
