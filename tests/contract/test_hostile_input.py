"""No body, id or query makes a service fail: every route refuses what it can't take, in the one shape of errors."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contract.route_client import RouteClient, send
from tests.contract.routes import CALLBACKS, ROUTES, Route, name_of
from tests.kit.answers import INVALID, outcome
from tests.kit.hostile import CONTENT_TYPES, IDS, LIMIT, TOO_LARGE, WRONG_TYPE, doubled, malformed, spoiled

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_failures")]

WITH_BODY = [route for route in ROUTES if route.body is not None]
SMALL = dict.fromkeys(("/v1/register", "/v1/login", "/v1/logout"), 8)
"""The limits of bodies in KiB, other than 64."""

WITHOUT_BODY = [route for route in ROUTES if route.body is None]
WITH_ID = [route for route in ROUTES if "{" in route.path]


def good(route_client: RouteClient, route: Route) -> Any:
    """Return a body that the route accepts."""
    assert route.body is not None
    return route.body(route_client.ids)


@pytest.mark.parametrize("route", WITH_BODY, ids=name_of)
async def test_what_is_no_json_object_is_refused(route_client: RouteClient, route: Route) -> None:
    bodies = dict(malformed(good(route_client, route)))
    got = {name: outcome(await send(route_client, route, content)) for name, content in bodies.items()}
    assert got == dict.fromkeys(bodies, INVALID)


@pytest.mark.parametrize("route", WITH_BODY, ids=name_of)
async def test_a_value_that_its_field_can_not_have_is_refused(route_client: RouteClient, route: Route) -> None:
    bodies = dict(spoiled(good(route_client, route)))
    got = {name: outcome(await send(route_client, route, content)) for name, content in bodies.items()}
    if route.path in CALLBACKS:
        # A callback may have any number as amount: one that differs from the invoice is an anomaly, not an error.
        taken = {name for name, (status, _) in got.items() if status == 200}
        parts = {name.removeprefix("data.") for name in taken}
        assert all(part.startswith("amount: ") or part in ("currency: null", "reference_id: null") for part in parts)
        got |= dict.fromkeys(taken, INVALID)
    assert got == dict.fromkeys(bodies, INVALID)


@pytest.mark.parametrize("route", WITH_BODY, ids=name_of)
async def test_another_content_type_is_refused(route_client: RouteClient, route: Route) -> None:
    content = json.dumps(good(route_client, route)).encode()
    got = {kind: outcome(await send(route_client, route, content, kind)) for kind in CONTENT_TYPES}
    assert got == dict.fromkeys(CONTENT_TYPES, WRONG_TYPE)
    assert outcome(await send(route_client, route, content, None)) == WRONG_TYPE


@pytest.mark.parametrize("route", WITH_BODY, ids=name_of)
async def test_of_a_key_that_is_there_twice_the_last_value_counts(route_client: RouteClient, route: Route) -> None:
    last, first = doubled(good(route_client, route))
    assert outcome(await send(route_client, route, last)) == route.answers.admin or route.path in CALLBACKS
    assert outcome(await send(route_client, route, first)) == INVALID


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    """Send a body without a content length."""
    for start in range(0, len(content), 65_536):
        yield content[start : start + 65_536]


@pytest.mark.parametrize("route", WITH_BODY, ids=name_of)
async def test_a_body_over_the_limit_is_refused_and_one_of_its_size_is_not(
    route_client: RouteClient, route: Route
) -> None:
    text = json.dumps(good(route_client, route)).encode()
    limit = SMALL.get(route.path, 256 if route.path in CALLBACKS else 64) * 1024
    full = text[:-1] + b" " * (limit - len(text)) + b"}"
    for content in (full + b" ", chunks(full + b" "), chunks(full * 3), b" " * (LIMIT + 1)):
        assert outcome(await send(route_client, route, content)) == TOO_LARGE
    assert outcome(await send(route_client, route, full)) != TOO_LARGE


@pytest.mark.parametrize("route", WITHOUT_BODY, ids=name_of)
async def test_a_body_over_the_limit_is_refused_where_none_is_read(route_client: RouteClient, route: Route) -> None:
    over = SMALL.get(route.path, 64) * 1024 + 1
    for content in (b" " * over, chunks(b" " * over), b" " * (LIMIT + 1), chunks(b" " * (LIMIT + 1))):
        assert outcome(await send(route_client, route, content)) == TOO_LARGE


@pytest.mark.parametrize("route", WITH_ID, ids=name_of)
async def test_an_id_that_is_no_positive_int64_is_refused(route_client: RouteClient, route: Route) -> None:
    [field] = re.findall(r"{(\w+)}", route.path)
    content = json.dumps(good(route_client, route)).encode() if route.body else None
    got = {}
    for given in IDS:
        url = route_client.url(route, {**route_client.ids, field: given})
        got[given] = outcome(await send(route_client, route, content, url=url))
    assert got == dict.fromkeys(IDS, INVALID)


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
async def test_a_nul_in_the_query_is_refused_and_bytes_that_are_no_text_do_no_harm(
    route_client: RouteClient, route: Route
) -> None:
    content = json.dumps(good(route_client, route)).encode() if route.body else None
    url = route_client.url(route, route_client.ids)
    join = "&" if "?" in url else "?"
    for query in ("a=%00", "%00=a", "a=b%00"):
        assert outcome(await send(route_client, route, content, url=f"{url}{join}{query}")) == INVALID
    for query in ("a=%FF%FE", "%ED%A0%80=1", "a=%", "&&&", "a" * 30_000, "=", "a[]=1&a[]=2"):
        assert (await send(route_client, route, content, url=f"{url}{join}{query}")).status_code < 500
