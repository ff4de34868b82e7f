"""Ports of tests: never those of outgoing connections, never those of another run."""

import subprocess
import sys
from pathlib import Path

from fc.stack.layout import EPHEMERAL, MAX_OFFSET, PORTS, Layout
from testkit import free_port
from testkit.ports import FIRST, LAST, free_port_pair

TWENTY = "from testkit import free_port; print(*(free_port() for _ in range(20)))"


def test_ports_lie_below_those_of_outgoing_connections() -> None:
    begin = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert min(begin, EPHEMERAL) > LAST


def test_a_shifted_stack_of_tests_has_other_ports() -> None:
    ours = set(range(FIRST, LAST + 1))
    for name in PORTS:
        first, last = (Layout(Path(), offset).port(name) for offset in (100, MAX_OFFSET))
        assert not ours & set(range(first, last + 1)), name


def test_two_runs_at_once_have_different_ports() -> None:
    ours = {free_port() for _ in range(20)}
    theirs = subprocess.run([sys.executable, "-c", TWENTY], capture_output=True, text=True, check=True).stdout.split()
    assert len(ours) == len(set(theirs)) == 20
    assert not ours & {int(port) for port in theirs}


def test_the_ports_of_a_pair_are_next_to_each_other_and_not_given_again() -> None:
    ports = [free_port_pair() for _ in range(20)]
    assert len({port + more for port in ports for more in (0, 1)}) == 40
