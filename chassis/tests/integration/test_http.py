"""The HTTP frame over a real uvicorn: request ids, bodies and their limits, refusals, and who may pass."""

import gzip
from collections.abc import AsyncIterator

import httpx2
import pytest
import structlog

from chassis.auth.tokens import encode_token

from .web_app import SECRET, error, handled

JSON = {"content-type": "application/json"}


async def test_a_sane_request_id_is_echoed_and_any_other_replaced(http: httpx2.AsyncClient) -> None:
    for given in ("abc-1", "x" * 128):
        answer = await http.get("/ping", headers={"X-Request-ID": given})
        assert answer.headers["x-request-id"] == given
    for given in ("x" * 129, "", "tab\there"):
        answer = await http.get("/ping", headers={"X-Request-ID": given})
        assert len(answer.headers["x-request-id"]) == 32


async def test_unknown_addresses_and_methods_have_the_one_shape(http: httpx2.AsyncClient) -> None:
    error(await http.get("/nope"), 404, "not_found")
    error(await http.get("/ping/"), 404, "not_found")
    # This address is its own and no id of a thing, though a thing may be posted to any id.
    for method in ("DELETE", "POST"):
        answer = await http.request(method, "/v1/things/bodyless", json={"quantity": 1, "name": "a"})
        error(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "GET, HEAD"
    answer = await http.put("/v1/things/7")
    error(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
    answer = await http.post("/docs/assets/swagger-ui.css")
    error(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD"


async def test_head_is_get_without_its_body(http: httpx2.AsyncClient) -> None:
    for path, status in (("/ping", 200), ("/v1/things/bodyless", 200), ("/v1/things/mine", 401), ("/nope", 404)):
        with structlog.testing.capture_logs() as lines:
            answer = await http.head(path)
        assert (answer.status_code, answer.content) == (status, b"")
        assert int(answer.headers["content-length"]) > 0
        assert [line["method"] for line in lines if line["event"] == "request"] == ["HEAD"]
    assert "bodyless" in handled
    assert (await http.head("/v1/things/raw/callback")).headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"quantity":0,"name":"a"}', "quantity: should be greater than or equal to 1"),
        (b'{"quantity":1}', "name: is required"),
        (b'{"quantity":9223372036854775808,"name":"a"}', "quantity"),
        (b'{"quantity":1' + b"0" * 5000 + b',"name":"a"}', ""),
        (b'{"quantity":NaN,"name":"a"}', "NaN"),
        (b'{"quantity":1,"name":"\\u0000"}', "NUL"),
        (b'{"quantity":1,"name":"\\ud800"}', "surrogate"),
        (b'{"quantity":1,"name":"\xff"}', ""),
        (b"{", "not valid JSON"),
        (b"[" * 60_000, ""),
        ('{"quantity":1,"name":"a"}'.encode("utf-16"), "UTF-8"),
        ('{"quantity":1,"name":"\\u0000"}'.encode("utf-32-le"), "UTF-8"),
        (b'{"quantity":1,"name":"a\x00"}', "NUL"),
        (b'"text"', "JSON object"),
        (b"", "body is required"),
    ],
)
async def test_a_bad_body_is_400_and_says_what_is_allowed(http: httpx2.AsyncClient, body: bytes, says: str) -> None:
    answer = await http.post("/v1/things/1", content=body, headers=JSON)
    assert says in error(answer, 400, "validation_failed")
    assert handled == []


async def test_an_escaped_backslash_is_not_a_nul(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/things/1", json={"quantity": 1, "name": " \\u0000 \U0001f600"})
    assert answer.json() == {"quantity": 1, "name": "\\u0000 \U0001f600"}


@pytest.mark.parametrize("thing_id", ["0", "-1", "x", "1.5", str(2**63)])
async def test_an_id_that_is_no_positive_int64_is_400(http: httpx2.AsyncClient, thing_id: str) -> None:
    answer = await http.post(f"/v1/things/{thing_id}", json={"quantity": 1, "name": "a"})
    assert "thing_id" in error(answer, 400, "validation_failed")


async def test_a_nul_in_the_query_is_400(http: httpx2.AsyncClient) -> None:
    error(await http.get("/v1/things/bodyless?name=%00"), 400, "validation_failed")


async def chunks(size: int) -> AsyncIterator[bytes]:
    """Send a body without saying how long it is."""
    for _ in range(size // 65536):
        yield b" " * 65536


async def test_a_body_over_the_ceiling_is_413_before_the_handler(http: httpx2.AsyncClient) -> None:
    for content in (b" " * (1024 * 1024 + 1), chunks(2 * 1024 * 1024)):
        error(await http.post("/v1/things/1", content=content, headers=JSON), 413, "payload_too_large")
    for content in (b" " * (1024 * 1024 + 1), chunks(2 * 1024 * 1024)):
        answer = await http.request("GET", "/v1/things/bodyless", content=content)
        error(answer, 413, "payload_too_large")
    assert handled == []


@pytest.mark.parametrize(("path", "limit"), [("/v1/things/1", 64), ("/v1/things/small", 8)])
async def test_a_body_of_the_limit_of_its_route_passes_and_a_byte_more_is_413(
    http: httpx2.AsyncClient, path: str, limit: int
) -> None:
    start = b'{"quantity":1,"name":"a"'
    body = start + b" " * (limit * 1024 - len(start) - 1) + b"}"
    assert (await http.post(path, content=body, headers=JSON)).status_code == 200
    handled.clear()
    answers = [
        await http.post(path, content=body + b" ", headers=JSON),
        await http.post(path, content=chunks((limit + 64) * 1024), headers=JSON),
        await http.request("GET", "/v1/things/bodyless", content=body + b" " * 60 * 1024),
        await http.request("GET", "/v1/things/bodyless", content=chunks(128 * 1024)),
    ]
    sentences = [error(answer, 413, "payload_too_large") for answer in answers]
    assert sentences == [f"The body is larger than {limit} KiB"] * 2 + ["The body is larger than 64 KiB"] * 2
    assert handled == []


async def test_a_route_can_refuse_its_caller_before_the_body_is_read(http: httpx2.AsyncClient) -> None:
    content = chunks(1024 * 1024)
    answer = await http.post("/v1/things/small", content=content, headers=JSON | {"x-refuse": "yes"})
    error(answer, 429, "rate_limited")
    assert handled == []


@pytest.mark.parametrize("query", ["a=1&a=1", "b=2&a=1&%61=2", "a&a"])
async def test_a_parameter_that_is_there_twice_is_400_on_every_route(http: httpx2.AsyncClient, query: str) -> None:
    for path in ("/v1/things/bodyless", "/v1/things/refused", "/ping"):
        assert error(await http.get(f"{path}?{query}"), 400, "validation_failed") == "a: is given more than once"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_another_content_type_is_415(http: httpx2.AsyncClient, content_type: str) -> None:
    body = b'{"quantity":1,"name":"a"}'
    answer = await http.post("/v1/things/1", content=body, headers={"content-type": content_type})
    error(answer, 415, "unsupported_media_type")


async def test_a_form_is_taken_where_it_is_expected_and_nothing_else_there(http: httpx2.AsyncClient) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = await http.post("/v1/things/form", content=b"a=1", headers=form)
    assert (answer.status_code, answer.json()) == (200, "a=1")
    for content_type in ("application/json", "text/plain", "multipart/form-data; boundary=x", ""):
        answer = await http.post("/v1/things/form", content=b"{}", headers={"content-type": content_type})
        said = error(answer, 415, "unsupported_media_type")
        assert said == "Content-Type must be application/x-www-form-urlencoded"
    compressed = await http.post(
        "/v1/things/form", content=gzip.compress(b"a"), headers=form | {"content-encoding": "gzip"}
    )
    error(compressed, 415, "unsupported_media_type")
    error(await http.post("/v1/things/form", content=b"a" * 70_000, headers=form), 413, "payload_too_large")


async def test_a_compressed_body_is_415_and_says_so(http: httpx2.AsyncClient) -> None:
    body = b'{"quantity":1,"name":"a"}'
    for coding in ("gzip", "br", "gzip, identity"):
        sent = gzip.compress(body) if coding == "gzip" else body
        answer = await http.post("/v1/things/1", content=sent, headers=JSON | {"content-encoding": coding})
        assert error(answer, 415, "unsupported_media_type") == "The body must not be compressed"
        assert answer.headers["accept-encoding"] == "identity"
    plain = await http.post("/v1/things/1", content=body, headers=JSON | {"content-encoding": "Identity"})
    assert plain.status_code == 200


async def test_a_json_content_type_with_parameters_or_suffix_passes(http: httpx2.AsyncClient) -> None:
    for content_type in ("application/json; charset=utf-8", "application/merge-patch+json", "Application/JSON"):
        answer = await http.post(
            "/v1/things/1", content=b'{"quantity":1,"name":"a"}', headers={"content-type": content_type}
        )
        assert answer.status_code == 200


async def test_a_handler_can_refuse_before_the_body_is_looked_at(http: httpx2.AsyncClient) -> None:
    headers = {"content-type": "text/plain", "x-callback-token": "wrong"}
    error(await http.post("/v1/things/raw/callback", content=b'{"x":NaN}', headers=headers), 409, "clash")
    answer = await http.post("/v1/things/raw/callback", content=b"{}", headers=JSON | {"x-callback-token": "right"})
    assert answer.json() == "ok"


async def test_failures_tell_nothing_and_are_logged(http: httpx2.AsyncClient) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = await http.get("/v1/things/broken")
    assert error(answer, 500, "internal_error") == "Internal server error"
    assert any("SELECT password" in str(line.get("exc_info")) for line in lines)
    answer = await http.get("/v1/things/down")
    assert "10.1.2.3" not in error(answer, 503, "unavailable")
    assert answer.headers["retry-after"]


async def test_refusals_carry_their_code_and_retry_after(http: httpx2.AsyncClient) -> None:
    assert error(await http.get("/v1/things/refused"), 409, "clash") == "They clash"
    answer = await http.get("/v1/things/later")
    error(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "7"


async def test_a_route_asks_for_a_token_and_for_a_role(http: httpx2.AsyncClient) -> None:
    def bearer(role: str) -> dict[str, str]:
        return {"authorization": f"Bearer {encode_token(SECRET, user_id=7, email='', role=role)}"}

    answer = await http.get("/v1/things/mine")
    error(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for bad in ("Bearer x", "Bearer", "Basic abc"):
        error(await http.get("/v1/things/mine", headers={"authorization": bad}), 401, "invalid_token")
    assert (await http.get("/v1/things/mine", headers=bearer("user"))).json() == 7
    error(await http.get("/v1/things/all", headers=bearer("user")), 403, "forbidden")
    assert (await http.get("/v1/things/all", headers=bearer("admin"))).status_code == 200
