"""The status and the error code of an answer; the one shape of a refusal."""

import httpx2

Outcome = tuple[int, str]
"""Status and error code; the code is "" where nothing is refused."""

INVALID: Outcome = (400, "validation_failed")
JSON = "application/json"


def outcome(answer: httpx2.Response) -> Outcome:
    """Return status and code, and check the headers and the body that every refusal has."""
    assert answer.headers["x-request-id"]
    if answer.status_code < 400 or answer.request.method == "HEAD":
        return answer.status_code, ""
    assert (answer.status_code == 401) == ("www-authenticate" in answer.headers)
    assert answer.headers["content-type"] == JSON
    body = answer.json()
    assert set(body) == {"error", "code", "request_id"}
    assert all(isinstance(value, str) and value for value in body.values())
    assert body["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, body["code"]
