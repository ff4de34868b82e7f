"""Open anomalies of the version before, which knew no refunds, get theirs."""

import httpx2
import pytest

from paymentfc.usecase import take_over_anomalies as usecase
from paymentfc.usecase.take_over_anomalies import take_over_anomalies

from .bench import Bench, bearer
from .refund_steps import ask, paid
from .test_refunds import SHOWN, STORIES, due, late


@pytest.mark.parametrize("name", STORIES)
async def test_anomalies_of_the_version_before_get_their_refunds(bench: Bench, name: str) -> None:
    story, expected = STORIES[name]
    payment = await bench.invoiced()
    await story(bench, payment)
    await bench.execute("DELETE FROM refunds")
    for _ in range(2):
        await take_over_anomalies(bench.db)
        assert await bench.rows(SHOWN, payment.order_id) == expected


async def test_what_a_person_has_resolved_before_is_given_back_already(bench: Bench) -> None:
    payment = await bench.invoiced()
    await late(bench, payment)
    await bench.execute("DELETE FROM refunds")
    await bench.execute("UPDATE payment_anomalies SET resolved_at = now(), note = 'refunded'")
    await take_over_anomalies(bench.db)
    assert await bench.rows(SHOWN, payment.order_id) == []


async def test_anomalies_that_need_no_refund_do_not_hold_up_those_after_them(
    bench: Bench, http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usecase, "BATCH", 1)
    for _ in range(2):
        given_back = await paid(bench)
        await ask(http, bearer(bench.settings, 9, "admin"), given_back.order_id)
        await bench.rejected(given_back.order_id)
    payment = await bench.invoiced()
    await late(bench, payment)
    await bench.execute("DELETE FROM refunds WHERE order_id = $1", payment.order_id)
    await take_over_anomalies(bench.db)
    assert await bench.rows(SHOWN, payment.order_id) == [due("paid_after_close")]
    assert await bench.rows(SHOWN, given_back.order_id) == [due("requested")]
