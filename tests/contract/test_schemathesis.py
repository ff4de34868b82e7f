"""Generated input for every documented route: nothing makes a service fail, and every answer is what was documented."""

import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import requests
import schemathesis
from schemathesis import Case
from schemathesis.core.failures import FailureGroup

from fc.stack.layout import ROOT
from tests.contract.route_client import UNUSED_ID, RouteClient
from tests.kit.stacks import secret_of
from tests.kit.tokens import Token, bearer

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_failures"), pytest.mark.timeout(300)]

# What no schema can say, and is refused with 400 all the same: passwords must agree, amounts fit the currency, names
# hold more than blanks, the lowest price is not above the highest, nineteen digits may be beyond 64 bits, and a whole
# number is not written with a decimal point (which a schema can't tell apart). Of the routes for administrators: one of
# two parameters is needed, places and times are in bounds, and blanks are no reason.
_SAY_LESS = (
    "POST /v1/register",
    "POST /v1/products",
    "PUT /v1/products/{product_id}",
    "POST /v1/products/categories",
    "PUT /v1/products/categories/{category_id}",
    "GET /v1/products",
    "GET /v1/products/search",
    "POST /v1/orders/checkout",
    "POST /v1/payments/invoice",
    "POST /v1/payments/anomalies/{anomaly_id}/resolve",
    "POST /v1/payments/{order_id}/refund",
    "POST /v1/payments/refunds/{refund_id}/settle",
    "GET /v1/admin/outbox",
    "POST /v1/admin/outbox/{row_id}/retry",
    "GET /v1/admin/orders",
    "GET /v1/admin/payments",
    "GET /v1/admin/payments/waiting",
    "GET /v1/admin/users",
)
# 422: a key that was drawn before, now with another body.
_AS_EXPECTED = ["2xx", "401", "403", "404", "409", "422", "429"]

_REFUSED = ["400", "401", "403", "404", "405", "406", "409", "415", "422", "428", "429", "5xx"]
CONFIG: dict[str, Any] = {
    "seed": 20_261_125,
    # Texts with NUL are tested in test_hostile_input.
    "generation": {"database": "none", "with-security-parameters": False, "allow-x00": False},
    "suppress-health-check": ["all"],
    "request-timeout": 20,
    "checks": {
        "not_a_server_error": {"expected-statuses": ["2xx", "4xx"]},
        "positive_data_acceptance": {"expected-statuses": _AS_EXPECTED},
        # The default and 413: generated bodies may be larger than their route takes.
        "negative_data_rejection": {"expected-statuses": [*_REFUSED, "413"]},
    },
    "operations": [
        {"include-name": name, "checks": {"positive_data_acceptance": {"expected-statuses": [*_AS_EXPECTED, "400"]}}}
        for name in _SAY_LESS
    ],
}
EVERYTHING = {"fuzzing": {"generation": {"max-examples": 40}}, "stateful": {"enabled": False}}
LITTLE = {**EVERYTHING, "coverage": {"enabled": False}, "fuzzing": {"generation": {"max-examples": 5}}}


@pytest.fixture(scope="module")
def session() -> Any:
    """One connection for all calls."""
    with requests.Session() as opened:
        yield opened


def spared(value: Any, own: int) -> Any:
    """Replace an id of other tests by the test's own, which is the newest."""
    return own if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= own else value


def tame(case: Case[Any], route_client: RouteClient) -> None:
    """Keep generated calls away from the products, categories and orders of other tests; invalid ids stay invalid."""
    ids = route_client.ids
    bodies = [case.body] if isinstance(case.body, dict) else []
    lines = bodies[0].get("items") if bodies else None
    bodies += [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []
    for field in ("product_id", "category_id"):
        own = ids["spent_product_id"] if (case.method, field) == ("DELETE", "product_id") else ids[field]
        given = str(case.path_parameters.get(field, ""))
        if case.method != "GET" and given.isdecimal():
            case.path_parameters[field] = spared(int(given), own)
        for body in bodies:
            if field in body:
                body[field] = spared(body[field], own)
    if bodies and str(bodies[0].get("external_id")).startswith("order-"):
        bodies[0]["external_id"] = f"order-{UNUSED_ID}"


def has_the_one_shape(_context: Any, response: schemathesis.Response, case: Case[Any]) -> None:
    """Check that a refusal has exactly the three keys, and the request's id in both places."""
    assert response.headers["x-request-id"]
    if response.status_code < 400 or case.method == "HEAD":
        return
    body = response.json()
    assert set(body) == {"error", "code", "request_id"}
    assert [body["request_id"]] == response.headers["x-request-id"]


def document(service: str, phases: dict[str, Any]) -> Any:
    """Read a service's document, which is current: see scripts/tests/openapi."""
    config = schemathesis.Config.from_dict({**CONFIG, "phases": phases})
    return schemathesis.openapi.from_path(ROOT / "docs" / "openapi" / f"{service}.json", config=config)


def generated(service: str, who: str, phases: dict[str, Any]) -> Callable[..., None]:
    """Make the test of a service for one caller; pytest makes an item of each route."""

    def test(case: Case[Any], route_client: RouteClient, session: requests.Session) -> None:
        tame(case, route_client)
        # A token for this call alone: one of the calls logs it out.
        headers = {"Authorization": bearer(Token.of(route_client.accounts[who], route_client.secret)).decode()}
        if service == "paymentfc" and who == "admin":
            headers["x-callback-token"] = secret_of(route_client.stack, service, "xendit_webhook_token")
        case.call_and_validate(
            base_url=route_client.stack.layout.url(service),
            session=session,
            headers=headers,
            additional_checks=[has_the_one_shape],
        )

    parametrized: Callable[[Callable[..., None]], Callable[..., None]] = document(service, phases).parametrize()
    return parametrized(test)


test_userfc_as_administrator = generated("userfc", "admin", EVERYTHING)
test_productfc_as_administrator = generated("productfc", "admin", EVERYTHING)
test_orderfc_as_administrator = generated("orderfc", "admin", EVERYTHING)
test_paymentfc_as_administrator = generated("paymentfc", "admin", EVERYTHING)

test_userfc_as_user = generated("userfc", "bob", LITTLE)
test_productfc_as_user = generated("productfc", "bob", LITTLE)
test_orderfc_as_user = generated("orderfc", "bob", LITTLE)
test_paymentfc_as_user = generated("paymentfc", "bob", LITTLE)

REFUSAL = {"error": "order 1 not found", "code": "not_found", "request_id": "r"}


@pytest.mark.parametrize(
    ("status", "body", "is_fine"),
    [
        (404, REFUSAL, True),
        (404, {**REFUSAL, "trace": "..."}, False),
        (404, {"error": "order 1 not found", "code": "not_found"}, False),
        (404, {**REFUSAL, "request_id": "another"}, False),
        (404, {**REFUSAL, "code": 404}, False),
        (200, {"order_id": "1"}, False),
        (500, REFUSAL, False),
        (503, REFUSAL, False),
    ],
)
def test_an_answer_that_was_not_documented_is_found(status: int, body: dict[str, Any], is_fine: bool) -> None:
    case = document("orderfc", LITTLE)["/v1/orders/{order_id}"]["GET"].Case(path_parameters={"order_id": 1})
    request = httpx2.Request("GET", "http://localhost/v1/orders/1")
    answer = httpx2.Response(status, json=body, headers={"x-request-id": "r"}, request=request)
    answer.elapsed = timedelta()
    found = contextlib.nullcontext() if is_fine else pytest.raises(FailureGroup)
    with found:
        case.validate_response(answer, additional_checks=[has_the_one_shape])
