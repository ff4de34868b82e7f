"""The token that Xendit sends with each callback."""

import hmac

from fastapi import Request
from fastapi.security import APIKeyHeader

from paymentfc.errors import InvalidCallbackToken

_HEADER = b"x-callback-token"
# Only for the OpenAPI document: the bytes of the header are compared, see check_token.
callback_token = APIKeyHeader(
    name=_HEADER.decode(),
    scheme_name="callback",
    auto_error=False,
    description="The token that Xendit sends with each callback, see XENDIT_WEBHOOK_TOKEN",
)


def check_token(request: Request, expected: str) -> None:
    """Raise InvalidCallbackToken unless the request has the token. Compared in constant time; "" matches nothing.

    The bytes are compared: a token outside ASCII must be compared as it was sent.
    """
    received = next((value for name, value in request.headers.raw if name == _HEADER), b"")
    if not (expected and hmac.compare_digest(received, expected.encode())):
        raise InvalidCallbackToken
