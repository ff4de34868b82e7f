"""A session that is renewed before it ends, while the page stays: session.js asks for the password."""

from fastapi import Response
from fastapi.responses import JSONResponse

from chassis import clock
from chassis.auth.tokens import TokenVerifier
from chassis.errors import Forbidden
from chassis.http.body import KIB
from chassis.http.routing import Router, accepts
from console.client.userfc import NoToken
from console.handler.session import count_log_in, remember_session, user_token
from console.handler.visit import Visitor

router = Router(include_in_schema=False)


@router.post("/session")
@accepts(max_body=8 * KIB, form=True, before=count_log_in)
async def renew(visit: Visitor) -> Response:
    """Give the same person a new session: how long it lasts, and the token for the forms of the page."""
    fields = await visit.form()
    try:
        token = await user_token(visit.request, visit.who.email, fields.get("password", ""))
    except NoToken as refused:
        return JSONResponse({"error": refused.sentence}, refused.status, dict(refused.headers))
    verifier: TokenVerifier = visit.state.verifier
    who = await verifier.verify(token)
    if who.user_id != visit.who.user_id:
        raise Forbidden("This is the session of another person")
    left_s = round(who.exp - clock.time())
    answer = JSONResponse({"form": visit.form_token, "left_s": left_s})
    remember_session(visit.request, answer, token)
    return answer
