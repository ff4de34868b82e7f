"""Failpoints do nothing unless armed, and act at the hit that was asked for."""

from collections.abc import Iterator

import pytest

from chassis.failpoint import FailpointError, arm, failpoint


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm("")


def test_an_unarmed_failpoint_does_nothing() -> None:
    failpoint("relay.after_send")


def test_an_armed_failpoint_raises_at_its_hit_only() -> None:
    arm("relay.after_send=raise@2")
    failpoint("relay.after_send")
    with pytest.raises(FailpointError):
        failpoint("relay.after_send")
    failpoint("relay.after_send")


@pytest.mark.parametrize("wrong", ["relay", "relay=explode", "relay=kill@often"])
def test_a_specification_that_cannot_be_read_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="failpoint"):
        arm(wrong)
