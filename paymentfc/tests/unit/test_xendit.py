"""The Xendit client: its requests, the answers it reads, and refusals apart from open results."""

import base64
import json
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from paymentfc.client.xendit import Draft
from paymentfc.errors import GatewayBusy, GatewayUnavailable, Refused
from paymentfc.events import Line

from .gateway import INVOICE, Client, answering, draft


async def sent(client: Client, draft: Draft) -> tuple[httpx2.Request, dict[str, Any]]:
    """Create an invoice and return the request that was sent."""
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json=INVOICE)

    await client(answer).create(draft)
    return seen[0], json.loads(seen[0].content)


async def test_create_sends_basic_authentication_whole_integers_and_the_payer(client: Client) -> None:
    request, body = await sent(client, draft())
    assert (request.method, request.url.path) == ("POST", "/v2/invoices")
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"xnd_key:").decode()
    assert b'"amount": 150000,' in request.content
    assert b'"invoice_duration": 86400' in request.content
    assert body["customer"] == {"email": "a@example.com"}
    assert body["items"] == [{"name": "Kopi", "price": 1, "quantity": 1, "reference_id": "1"}]


async def test_cents_are_sent_as_the_same_short_number(client: Client) -> None:
    request, _ = await sent(client, draft(amount="19.99", currency="USD"))
    assert b'"amount": 19.99,' in request.content


@pytest.mark.parametrize(("lines", "shown"), [(0, False), (75, True), (76, False)])
async def test_items_are_sent_only_up_to_what_xendit_takes(client: Client, lines: int, *, shown: bool) -> None:
    _, body = await sent(client, draft(lines))
    assert ("items" in body) is shown


async def test_lines_without_prices_are_left_out(client: Client) -> None:
    _, body = await sent(client, replace(draft(), lines=[Line(product_id=1, quantity=2)]))
    assert "items" not in body


async def test_expire_keeps_its_exclamation_mark_and_has_no_version(client: Client) -> None:
    paths: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        paths.append(request.url.raw_path)
        return httpx2.Response(200, json={**INVOICE, "id": "abc", "status": "EXPIRED"})

    assert (await client(answer).expire("abc")).status == "EXPIRED"
    assert paths == [b"/invoices/abc/expire!"]


async def test_find_gives_only_invoices_of_exactly_this_external_id(client: Client) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        assert dict(request.url.params) == {"external_id": "order-7", "limit": "100"}
        return httpx2.Response(200, json=[INVOICE, {"id": "b", "external_id": "order-77"}])

    assert [invoice.id for invoice in await client(answer).find("order-7")] == [INVOICE["id"]]


async def test_find_takes_xendits_own_404_for_an_empty_list_and_no_other_answer(client: Client) -> None:
    body = {"error_code": "INVOICE_NOT_FOUND_ERROR", "message": "Could not find invoice"}
    assert await client(lambda _: httpx2.Response(404, json=body)).find("order-7") == []
    for status, answer in ((404, {"error_code": "DATA_NOT_FOUND"}), (404, None), (403, body)):
        with pytest.raises(Refused):
            await client(answering(status, json=answer)).find("order-7")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
async def test_4xx_is_a_refusal_even_without_a_readable_body(client: Client, status: int) -> None:
    for content in (b"{}", b"<html>", b"[]", b'{"error_code":null,"errors":["x"]}'):
        with pytest.raises(Refused) as caught:
            await client(answering(status, content=content)).get("a")
        assert caught.value.status == status


@pytest.mark.parametrize("status", [302, 429, 500, 502, 503])
async def test_other_failures_leave_open_what_happened(client: Client, status: int) -> None:
    with pytest.raises(GatewayUnavailable):
        await client(lambda _: httpx2.Response(status, json={"error_code": "X"})).create(draft())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed_with_the_key(client: Client, status: int) -> None:
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.url.path)
        return httpx2.Response(status, headers={"location": f"http://localhost:{request.url.port}/elsewhere"})

    xendit = client(answer)
    for call in (xendit.get("a"), xendit.create(draft()), xendit.expire("a")):
        with pytest.raises(GatewayUnavailable):
            await call
    assert seen == ["/v2/invoices/a", "/v2/invoices", "/invoices/a/expire!"]


@pytest.mark.parametrize(("status", "kind"), [(400, Refused), (500, GatewayUnavailable)])
@pytest.mark.parametrize(
    "content", [b"\x00<html>", b'{"error_code":"\\u0000","message":"\\ud800","errors":["\\u0000\\udfff"]}']
)
async def test_the_text_of_a_failure_can_be_stored(
    client: Client, status: int, kind: type[Exception], content: bytes
) -> None:
    with pytest.raises(kind) as caught:
        await client(lambda _: httpx2.Response(status, content=content)).get("a")
    assert "\x00" not in str(caught.value)
    assert str(caught.value).encode()


@pytest.mark.parametrize("content", [b'{"error_code":"RATE_LIMIT_EXCEEDED"}', b"<html>"])
async def test_over_the_rate_limit_says_so(client: Client, content: bytes) -> None:
    with pytest.raises(GatewayBusy):
        await client(lambda _: httpx2.Response(429, content=content)).get("a")


@pytest.mark.parametrize("name", ["id", "external_id", "status"])
@pytest.mark.parametrize("text", ["\\u0000", "\\ud800"])
async def test_a_text_that_can_not_be_stored_is_no_readable_field(client: Client, name: str, text: str) -> None:
    content = json.dumps({**INVOICE, name: "@"}).replace("@", text).encode()
    with pytest.raises(GatewayUnavailable, match=f"no readable {name}"):
        await client(lambda _: httpx2.Response(200, content=content)).get("a")


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"id":"a"}', b'{"id":1,"amount":1}', b"[" * 100_000])
async def test_an_unreadable_success_leaves_open_what_happened(client: Client, content: bytes) -> None:
    with pytest.raises(GatewayUnavailable):
        await client(lambda _: httpx2.Response(200, content=content)).create(draft())


@pytest.mark.parametrize("call", ["get", "expire"])
async def test_another_invoice_than_the_one_asked_for_is_no_answer(client: Client, call: str) -> None:
    xendit = client(answering(200, json={**INVOICE, "status": "PAID"}))
    with pytest.raises(GatewayUnavailable, match="another invoice"):
        await getattr(xendit, call)("6748105a77f16ebe0cc583a8")


async def test_an_invoice_of_another_order_is_not_the_one_that_was_made(client: Client) -> None:
    xendit = client(answering(200, json={**INVOICE, "external_id": "order-8"}))
    with pytest.raises(GatewayUnavailable, match="another order"):
        await xendit.create(draft())


async def test_a_dead_network_leaves_open_what_happened(client: Client) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("slow", request=request)

    with pytest.raises(GatewayUnavailable):
        await client(answer).create(draft())


async def test_unknown_fields_are_ignored_and_amounts_read_exactly(client: Client) -> None:
    body = json.dumps({**INVOICE, "id": "a", "amount": 0, "more": 1}).replace('"amount": 0', '"amount": 0.10')
    invoice = await client(lambda _: httpx2.Response(200, content=body.encode())).get("a")
    assert str(invoice.amount) == "0.10"
    assert invoice.expiry_date is not None
    assert invoice.expiry_date.year == 2026
