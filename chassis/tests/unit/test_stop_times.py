"""The shares of the time to stop fit into the service's, one after the other."""

import pytest

from chassis.http.server import HTTP_SHARE
from chassis.kafka.stop_times import CLOSE_SHARE, DRAIN_SHARE, LAST_SENDS_SHARE, LEAVE_SHARE
from chassis.service import PARTS_SHARE


@pytest.mark.parametrize("before_the_relay", [DRAIN_SHARE + LEAVE_SHARE, HTTP_SHARE], ids=["consumer", "requests"])
def test_the_relay_has_its_time_after_the_parts_that_commit_events(before_the_relay: float) -> None:
    assert before_the_relay + LAST_SENDS_SHARE + CLOSE_SHARE <= PARTS_SHARE + 1e-9
