"""What Xendit refuses is left to a person only when it can't have given the money back."""

import pytest

from .refund_counter import Counter


@pytest.mark.parametrize(
    "faults",
    [["404 DATA_NOT_FOUND"], ["400 INVALID_REQUEST"], ["not_listed", "400 MAXIMUM_REFUND_AMOUNT_REACHED"]],
)
async def test_a_refusal_after_a_lost_answer_does_not_leave_to_a_person_what_xendit_has_given_back(
    counter: Counter, faults: list[str]
) -> None:
    counter.gateway.faults = ["commit_then_fail"]
    refund_id = await counter.approved()
    await counter.work()
    counter.gateway.faults = faults
    while counter.gateway.faults:
        await counter.work_later()
        assert await counter.status(refund_id) in ("REQUESTED", "SUCCEEDED")
    await counter.work_later()
    assert await counter.status(refund_id) == "SUCCEEDED"
    assert await counter.entries(refund_id) == ["due", "requested", "succeeded"]
    assert len(counter.gateway.made) == 1


async def test_a_refusal_after_a_lost_call_is_left_to_a_person_when_xendit_has_no_such_refund(counter: Counter) -> None:
    counter.gateway.faults = ["down"]
    refund_id = await counter.approved()
    await counter.work()
    counter.gateway.faults = ["", "400 REFUND_NOT_SUPPORTED"]
    await counter.work_later()
    assert await counter.status(refund_id) == "MANUAL"
    assert counter.gateway.calls == ["create", "find", "create", "find"]


@pytest.mark.parametrize("made", [True, False])
async def test_a_worker_that_has_lost_its_claim_does_not_leave_the_refund_to_a_person(
    counter: Counter, *, made: bool
) -> None:
    refund_id = await counter.approved()
    [slow] = await counter.sending.claim(8)
    await counter.told(refund_id)
    counter.gateway.outcome = "PENDING"
    if made:
        await counter.work()
    else:
        assert len(await counter.sending.claim(8)) == 1
    counter.gateway.faults = ["400 MAXIMUM_REFUND_AMOUNT_REACHED"]
    await counter.sending.send(slow)
    assert await counter.status(refund_id) == "REQUESTED"
    counter.gateway.outcome = "SUCCEEDED"
    if made:
        counter.gateway.end(refund_id)
    await counter.work_later()
    assert await counter.status(refund_id) == "SUCCEEDED"
    assert await counter.entries(refund_id) == ["due", "requested", "succeeded"]
