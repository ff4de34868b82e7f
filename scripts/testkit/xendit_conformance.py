"""What the platform relies on at Xendit, as suites that the simulator and every fake pass.

A test module derives a class from a suite and gives it the fixture `account`. `InvoiceListSuite` reads the invoices
of orders; `GatewaySuite` adds what paymentfc's gateway does with them.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

import pytest

from paymentfc.client.xendit import Draft
from paymentfc.errors import GatewayBusy, GatewayUnavailable, Refused
from testkit import eventually
from testkit.xendit_account import (
    AMOUNT,
    CLOCK_TOLERANCE,
    LISTED,
    ORDER,
    OTHER_ORDER,
    Account,
    Call,
    Fault,
    GatewayAccount,
    Listed,
)


class InvoiceListSuite:
    """The invoices of an order."""

    async def test_an_order_without_an_invoice_has_an_empty_list(self, account: Account) -> None:
        await account.make(OTHER_ORDER)
        assert await account.listed(ORDER) == []

    async def test_all_invoices_of_an_order_are_listed_and_no_others(self, account: Account) -> None:
        own = {await account.make(ORDER) for _ in range(3)}
        await account.make(OTHER_ORDER)
        assert len(own) == 3
        assert {invoice.id for invoice in await account.listed(ORDER)} == own

    async def test_a_new_invoice_is_pending_and_unpaid(self, account: Account) -> None:
        made = await account.make(ORDER)
        assert await account.listed(ORDER) == [Listed(made, "PENDING", AMOUNT, "IDR", None)]

    async def test_a_paid_invoice_has_the_amount_that_was_paid(self, account: Account) -> None:
        made = await account.make(ORDER)
        await account.pay(made)
        assert await account.listed(ORDER) == [Listed(made, "PAID", AMOUNT, "IDR", AMOUNT)]

    async def test_another_amount_than_the_invoices_is_paid_as_it_comes(self, account: Account) -> None:
        made = await account.make(ORDER)
        await account.pay(made, AMOUNT - 1)
        assert await account.listed(ORDER) == [Listed(made, "PAID", AMOUNT, "IDR", AMOUNT - 1)]

    async def test_an_expired_invoice_stays_in_the_list(self, account: Account) -> None:
        made = await account.make(ORDER)
        await account.expire(made)
        assert await account.listed(ORDER) == [Listed(made, "EXPIRED", AMOUNT, "IDR", None)]

    async def test_an_invoice_that_is_paid_leaves_another_of_the_order_pending(self, account: Account) -> None:
        first, second = await account.make(ORDER), await account.make(ORDER)
        await account.pay(second)
        statuses = {invoice.id: invoice.status for invoice in await account.listed(ORDER)}
        assert statuses == {first: "PENDING", second: "PAID"}


def draft(
    amount: Decimal = AMOUNT, *, external_id: str = "order-7", currency: str = "IDR", duration_s: int = 3600
) -> Draft:
    return Draft(external_id, amount, currency, duration_s, "alice@example.com")


class GatewaySuite(InvoiceListSuite):
    """paymentfc's gateway: create, find, read, expire, and what is refused."""

    async def test_create_returns_the_invoice_that_read_and_find_return(self, account: GatewayAccount) -> None:
        made = await account.gateway.create(draft())
        assert await account.gateway.get(made.id) == made
        assert await account.gateway.find("order-7") == [made]
        assert (made.external_id, made.status, made.amount, made.currency) == ("order-7", "PENDING", AMOUNT, "IDR")
        assert made.invoice_url

    async def test_an_invoice_has_the_currency_and_the_duration_of_its_draft(self, account: GatewayAccount) -> None:
        made = await account.gateway.create(draft(Decimal("19.99"), currency="USD", duration_s=1800))
        assert (made.amount, made.currency) == (Decimal("19.99"), "USD")
        assert made.created
        assert made.expiry_date
        assert made.expiry_date - made.created == timedelta(seconds=1800)
        assert abs(made.created - datetime.now(UTC)) < CLOCK_TOLERANCE

    async def test_an_external_id_may_be_used_again_and_the_newest_invoice_is_found_first(
        self, account: GatewayAccount
    ) -> None:
        made = [(await account.gateway.create(draft())).id for _ in range(3)]
        assert [invoice.id for invoice in await account.gateway.find("order-7")] == made[::-1]

    async def test_find_returns_the_newest_hundred_invoices(self, account: GatewayAccount) -> None:
        made = [(await account.gateway.create(draft())).id for _ in range(LISTED + 1)]
        assert [invoice.id for invoice in await account.gateway.find("order-7")] == made[:0:-1]

    async def test_a_paid_invoice_names_the_first_of_its_payments(self, account: GatewayAccount) -> None:
        made = await account.gateway.create(draft())
        assert (made.receipt, made.shows_money) == (None, False)
        await account.pay(made.id)
        first = await account.gateway.get(made.id)
        assert first.receipt
        assert first.shows_money
        await account.pay(made.id)
        assert (await account.gateway.get(made.id)).receipt == first.receipt

    async def test_money_after_the_end_is_shown_although_the_invoice_stays_expired(
        self, account: GatewayAccount
    ) -> None:
        made = await account.gateway.create(draft())
        await account.expire(made.id)
        assert not (await account.gateway.get(made.id)).shows_money
        await account.pay_late(made.id)
        late = await account.gateway.get(made.id)
        assert (late.status, late.paid_amount, late.shows_money) == ("EXPIRED", AMOUNT, True)

    async def test_an_expired_invoice_ends_now(self, account: GatewayAccount) -> None:
        made = await account.gateway.create(draft())
        expired = await account.gateway.expire(made.id)
        assert (expired.id, expired.status) == (made.id, "EXPIRED")
        assert expired.expiry_date
        assert abs(expired.expiry_date - datetime.now(UTC)) < CLOCK_TOLERANCE
        assert await account.gateway.get(made.id) == expired

    async def test_an_invoice_expires_by_itself_when_its_duration_is_over(self, account: GatewayAccount) -> None:
        made = await account.gateway.create(draft(duration_s=1))

        async def expired() -> bool:
            return (await account.gateway.get(made.id)).status == "EXPIRED"

        await eventually(expired)
        assert [invoice.status for invoice in await account.gateway.find("order-7")] == ["EXPIRED"]

    @pytest.mark.parametrize("call", ["get", "expire"])
    async def test_an_unknown_id_is_refused(self, account: GatewayAccount, call: Literal["get", "expire"]) -> None:
        with pytest.raises(Refused) as refused:
            await getattr(account.gateway, call)("0" * 24)
        assert refused.value.no_such_invoice

    @pytest.mark.parametrize("end", ["pay", "expire"])
    async def test_an_invoice_that_is_not_pending_can_not_be_expired(
        self, account: GatewayAccount, end: Literal["pay", "expire"]
    ) -> None:
        made = await account.gateway.create(draft())
        await getattr(account, end)(made.id)
        before = await account.gateway.get(made.id)
        with pytest.raises(Refused) as refused:
            await account.gateway.expire(made.id)
        assert refused.value.no_such_invoice
        assert await account.gateway.get(made.id) == before

    @pytest.mark.parametrize(
        "wrong",
        [
            draft(Decimal(0)),
            draft(Decimal(-1)),
            draft(external_id=""),
            draft(external_id="x" * 256),
            draft(currency="XXX"),
            draft(duration_s=0),
        ],
        ids=["amount 0", "amount below 0", "no external id", "long external id", "unknown currency", "no duration"],
    )
    async def test_a_wrong_draft_is_refused_and_makes_nothing(self, account: GatewayAccount, wrong: Draft) -> None:
        with pytest.raises(Refused) as refused:
            await account.gateway.create(wrong)
        assert refused.value.status == 400
        assert await account.gateway.find(wrong.external_id) == []

    @pytest.mark.parametrize(
        ("fault", "error"), [("refused", Refused), ("busy", GatewayBusy), ("unavailable", GatewayUnavailable)]
    )
    @pytest.mark.parametrize("call", ["create", "find", "get", "expire"])
    async def test_a_call_that_fails_changes_nothing_and_the_next_one_succeeds(
        self, account: GatewayAccount, call: Call, fault: Fault, error: type[Exception]
    ) -> None:
        made = await account.gateway.create(draft())
        argument: object = {"create": draft(), "find": "order-7"}.get(call, made.id)
        await account.fail_next(call, fault)
        with pytest.raises(error):
            await getattr(account.gateway, call)(argument)
        assert await account.gateway.find("order-7") == [made]
        await getattr(account.gateway, call)(argument)

    async def test_a_create_may_take_effect_although_it_fails(self, account: GatewayAccount) -> None:
        await account.fail_next("create", "unavailable_after_commit")
        with pytest.raises(GatewayUnavailable):
            await account.gateway.create(draft())
        [made] = await account.gateway.find("order-7")
        assert (made.status, made.amount) == ("PENDING", AMOUNT)
