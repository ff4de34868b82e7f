"""Both ways of asking Xendit, against the simulator over HTTP, and what happens when it does not answer."""

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from fc.audit.model import Invoice
from fc.audit.reading.xendit import Gateway, XenditApi, XenditSimulator
from fc.audit.watch import Unwatched
from fc.platform.errors import CouldNotCheck
from testkit import free_port
from testkit.xendit_account import KEY
from testkit.xendit_account import simulator as served_simulator

Make = Callable[[str], Gateway]

simulator: Make = XenditSimulator


def api(url: str) -> Gateway:
    return XenditApi(url, KEY)


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A simulator of the test's own."""
    async with served_simulator() as address:
        yield address


async def post(url: str, path: str, **body: Any) -> dict[str, Any]:
    async with httpx2.AsyncClient(base_url=url, auth=httpx2.BasicAuth(KEY, ""), trust_env=False) as client:
        answer = await client.post(path, json=body)
        answer.raise_for_status()
        return dict(answer.json())


async def invoice(url: str, order_id: int, amount: int = 150_000) -> str:
    made = await post(url, "/v2/invoices", external_id=f"order-{order_id}", amount=amount)
    return str(made["id"])


async def found(gateway: Gateway, *order_ids: int) -> dict[int, list[Invoice]]:
    try:
        await gateway.prepare(Unwatched())
        invoices = await gateway.find(order_ids)
    finally:
        await gateway.close()
    return {order_id: [each for each in invoices if each.order_id == order_id] for order_id in order_ids}


@pytest.mark.parametrize("make", [simulator, api])
async def test_all_invoices_of_an_order_are_found_and_no_others(url: str, make: Make) -> None:
    first, second, other = await invoice(url, 7), await invoice(url, 7), await invoice(url, 77)
    await post(url, f"/_sim/invoices/{second}/pay")
    invoices = await found(make(url), 7, 8)
    assert {(each.id, each.status, each.is_paid) for each in invoices[7]} == {
        (first, "PENDING", False),
        (second, "PAID", True),
    }
    assert invoices[8] == []
    [paid] = [each for each in invoices[7] if each.id == second]
    assert (paid.amount, paid.currency, paid.paid_amount) == (Decimal(150_000), "IDR", Decimal(150_000))
    assert paid.created
    assert paid.updated
    assert paid.created <= paid.updated
    assert other not in {each.id for each in invoices[7]}


@pytest.mark.parametrize("make", [simulator, api])
async def test_money_in_another_amount_is_seen(url: str, make: Make) -> None:
    await post(url, f"/_sim/invoices/{await invoice(url, 7)}/pay", amount=149_999)
    [paid] = (await found(make(url), 7))[7]
    assert (paid.amount, paid.paid_amount) == (Decimal(150_000), Decimal(149_999))


async def test_the_simulator_tells_of_money_that_came_after_the_end(url: str) -> None:
    expired = await invoice(url, 7)
    await post(url, f"/_sim/invoices/{expired}/expire")
    assert [each.is_paid for each in (await found(XenditSimulator(url), 7))[7]] == [False]
    await post(url, f"/_sim/invoices/{expired}/pay", after_expiry=True)
    [late] = (await found(XenditSimulator(url), 7))[7]
    assert (late.status, late.is_paid, late.paid_amount) == ("EXPIRED", True, Decimal(150_000))


async def test_the_simulator_lists_every_order_that_has_an_invoice(url: str) -> None:
    for order_id in (9, 7, 7):
        await invoice(url, order_id)
    await post(url, "/v2/invoices", external_id="something else", amount=20_000)
    gateway = XenditSimulator(url)
    await gateway.prepare(Unwatched())
    assert list(gateway.invoiced()) == [[(7,), (9,)]]
    await gateway.close()


async def test_a_list_that_is_longer_than_any_chunk_is_read_whole(url: str) -> None:
    async with httpx2.AsyncClient(base_url=url, auth=httpx2.BasicAuth(KEY, ""), trust_env=False) as client:
        for order_id in range(1, 120):
            await client.post("/v2/invoices", json={"external_id": f"order-{order_id}", "amount": 150_000})
    invoices = await found(XenditSimulator(url), *range(1, 120))
    assert [len(each) for each in invoices.values()] == [1] * 119


async def test_a_rate_limit_is_waited_for(url: str) -> None:
    await invoice(url, 7)
    answers = [httpx2.Response(429, headers={"Rate-Limit-Reset": "0.01"}), httpx2.Response(200, json=[])]
    gateway = XenditApi(url, KEY)
    gateway._client = httpx2.AsyncClient(base_url=url, transport=httpx2.MockTransport(lambda _: answers.pop(0)))
    assert (await found(gateway, 7))[7] == []
    assert answers == []


@pytest.mark.parametrize(
    "body",
    [b"[{", b'{"id": 1}', b'[{"id": "i", "status": "PAID"}]', b"<html>", b'[{"id": "i", "external_id": "order-7"'],
)
@pytest.mark.parametrize("make", [simulator, api])
async def test_an_answer_that_is_no_list_of_invoices_is_not_taken_for_an_empty_list(make: Make, body: bytes) -> None:
    gateway = make("http://xendit.test")
    gateway._client = httpx2.AsyncClient(  # type: ignore[attr-defined]
        base_url="http://xendit.test", transport=httpx2.MockTransport(lambda _: httpx2.Response(200, content=body))
    )
    with pytest.raises(CouldNotCheck, match="Xendit"):
        await found(gateway, 7)


@pytest.mark.parametrize("make", [simulator, api])
async def test_a_xendit_that_is_not_there_is_no_answer(make: Make) -> None:
    with pytest.raises(CouldNotCheck, match="Xendit"):
        await found(make(f"http://127.0.0.1:{free_port()}"), 7)
