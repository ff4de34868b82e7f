"""The simulator and the fake behave alike at the gateway of refunds."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from paymentfc.client.refunds import RefundGateway
from paymentfc.client.xendit import Draft, Xendit
from paymentfc.errors import GatewayBusy, GatewayUnavailable, Refused
from paymentfc.model.refund import Cause, Refund, RefundStatus
from testkit.xendit_account import KEY, simulator

from .fake_refunds import FakeRefunds

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SWITCHES: dict[str, dict[str, Any]] = {
    "down": {"refund_status": {"status": 500, "times": 1}},
    "busy": {"refund_status": {"status": 429, "times": 1}},
    "401 INVALID_API_KEY": {"refund_status": {"status": 401, "times": 1}},
    "400 REFUND_NOT_SUPPORTED": {"refunds_supported": False},
    "commit_then_fail": {"refund_fails_after_commit": 1},
}


def refund(invoice_id: str, number: int = 1, **fields: Any) -> Refund:
    given: dict[str, Any] = {
        "id": number,
        "order_id": 7,
        "payment_id": 7,
        "invoice_id": invoice_id,
        "amount": Decimal(150_000),
        "currency": "IDR",
        "cause": Cause.ORDER_CANCELLED,
        "source": "taken",
        "status": RefundStatus.REQUESTED,
        "failure_code": None,
        "attempts": 1,
        "note": None,
        "gateway_id": None,
        "due_at": NOW,
        "create_time": NOW,
        "update_time": NOW,
    }
    return Refund(**given | fields)


class Fake:
    """The fake, with an invoice that is paid."""

    invoice_id = "i-1"

    def __init__(self) -> None:
        self.gateway = self.fake = FakeRefunds()

    async def outcome(self, word: str) -> None:
        self.fake.outcome = word

    async def end(self, number: int, word: str) -> None:
        self.fake.end(number, word)

    async def fail_next(self, fault: str) -> None:
        self.fake.faults.append(fault)


class Simulated:
    """The gateway itself at the simulator, with an invoice that is paid."""

    def __init__(self, xendit: Xendit, http: httpx2.AsyncClient, invoice_id: str) -> None:
        self.gateway, self.http, self.invoice_id = RefundGateway(xendit), http, invoice_id

    async def outcome(self, word: str) -> None:
        await self.switch(refund_outcome=word, refund_failure_code="INSUFFICIENT_BALANCE")

    async def switch(self, **switches: Any) -> None:
        (await self.http.put("/_sim/faults", json=switches)).raise_for_status()

    async def end(self, number: int, word: str) -> None:
        [made] = [
            one for one in (await self.http.get("/_sim/refunds")).json() if one["reference_id"][7:] == str(number)
        ]
        code = {"failure_code": "INSUFFICIENT_BALANCE"} if word == "FAILED" else {}
        (await self.http.post(f"/_sim/refunds/{made['id']}/end", json={"status": word, **code})).raise_for_status()

    async def fail_next(self, fault: str) -> None:
        await self.switch(**SWITCHES[fault])


@pytest.fixture(params=["fake", "simulator"])
async def account(request: pytest.FixtureRequest) -> AsyncIterator[Fake | Simulated]:
    if request.param == "fake":
        yield Fake()
        return
    async with simulator() as url, httpx2.AsyncClient(base_url=url) as http:
        xendit = Xendit(url, KEY, allow_http=True)
        made = await xendit.create(Draft("order-7", Decimal(150_000), "IDR", 3600, None))
        (await http.post(f"/_sim/invoices/{made.id}/pay", json={})).raise_for_status()
        yield Simulated(xendit, http, made.id)
        await xendit.close()


async def test_a_refund_is_made_once_and_found_by_its_id_and_its_reference(account: Fake | Simulated) -> None:
    asked = refund(account.invoice_id)
    assert await account.gateway.find(asked) is None
    made = await account.gateway.create(asked)
    assert (made.reference, made.status, made.amount, made.currency) == (
        "refund-1",
        "SUCCEEDED",
        Decimal(150_000),
        "IDR",
    )
    assert await account.gateway.create(asked) == made
    assert await account.gateway.find(asked) == made
    assert await account.gateway.get(replace(asked, gateway_id=made.id)) == made
    assert await account.gateway.find(refund(account.invoice_id, 2)) is None


@pytest.mark.parametrize(("word", "code"), [("SUCCEEDED", None), ("FAILED", "INSUFFICIENT_BALANCE")])
async def test_a_pending_refund_ends(account: Fake | Simulated, word: str, code: str | None) -> None:
    await account.outcome("PENDING")
    made = await account.gateway.create(refund(account.invoice_id))
    assert made.status == "PENDING"
    await account.end(1, word)
    ended = await account.gateway.get(refund(account.invoice_id, gateway_id=made.id))
    assert (ended.status, ended.failure_code) == (word, code)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("down", GatewayUnavailable),
        ("busy", GatewayBusy),
        ("401 INVALID_API_KEY", Refused),
        ("400 REFUND_NOT_SUPPORTED", Refused),
    ],
)
async def test_a_call_that_fails_makes_nothing(account: Fake | Simulated, fault: str, error: type[Exception]) -> None:
    await account.fail_next(fault)
    with pytest.raises(error) as raised:
        await account.gateway.create(refund(account.invoice_id))
    if isinstance(raised.value, Refused):
        assert f"{raised.value.status} {raised.value.code}" == fault
    assert await account.gateway.find(refund(account.invoice_id)) is None


async def test_a_refund_whose_answer_is_lost_is_there(account: Fake | Simulated) -> None:
    await account.fail_next("commit_then_fail")
    with pytest.raises(GatewayUnavailable):
        await account.gateway.create(refund(account.invoice_id))
    found = await account.gateway.find(refund(account.invoice_id))
    assert found is not None
    assert await account.gateway.create(refund(account.invoice_id)) == found


async def test_an_unknown_refund_is_refused(account: Fake | Simulated) -> None:
    with pytest.raises(Refused) as raised:
        await account.gateway.get(refund(account.invoice_id, gateway_id="rfd-x"))
    assert (raised.value.status, raised.value.code) == (404, "DATA_NOT_FOUND")
