"""The payer's e-mail is optional: without it the invoice is made before the order is given up."""

from typing import Any

import pytest

from paymentfc.client.xendit import Draft
from paymentfc.errors import Refused
from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import Status

from .bench import Bench

OLDER = "UPDATE payments SET create_time = create_time - $2 * interval '1 second' WHERE id = $1"


@pytest.mark.parametrize("age", [0.5, 1.5])
async def test_while_userfc_is_away_the_invoice_is_made_without_email_before_the_order_is_given_up(
    bench: Bench, age: float
) -> None:
    bench.users.away = True
    payment = await bench.order()
    await bench.invoice()
    assert bench.xendit.drafts == []
    await bench.execute(OLDER, payment.id, age * bench.settings.invoice_give_up_s)
    await bench.retry()
    [draft] = bench.xendit.drafts
    assert draft.payer_email is None
    found = await bench.payment(payment.order_id)
    assert (found.status, found.invoice_url is None) == (Status.PENDING, False)


async def test_an_email_that_is_known_is_sent_although_userfc_is_away(bench: Bench) -> None:
    bench.xendit.faults = ["down"]
    await bench.order()
    await bench.invoice()
    bench.users.away = True
    await bench.retry()
    assert [draft.payer_email for draft in bench.xendit.drafts] == ["user3@example.com"]


@pytest.mark.parametrize("code", ["EMAIL_FORMAT_ERROR", "API_VALIDATION_ERROR"])
async def test_when_xendit_refuses_the_email_the_last_try_goes_without(bench: Bench, code: str) -> None:
    async def refuse_email(draft: Draft) -> Invoice:
        tries.append(draft)
        if draft.payer_email or draft.lines:
            raise Refused(400, code, '"payer_email" must be a valid email')
        return bench.xendit.put(draft.external_id, draft.amount)

    tries: list[Any] = []
    bench.xendit.instead["create"] = refuse_email
    payment = await bench.order()
    await bench.invoice()
    while (await bench.payment(payment.order_id)).needs_invoice:
        await bench.retry()
    assert len(tries) == bench.settings.payment_max_tries
    assert (await bench.payment(payment.order_id)).invoice_url
