"""A running stack: its processes, the settings of each part, and a second start that changes nothing."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import psutil
import pytest

from fc.demo.seed import CATALOGUE
from fc.stack import ports, processes
from fc.stack.accounts import ACCOUNTS
from fc.stack.layout import DEPLOYED, SERVICES
from fc.stack.local import Stack

from ..conftest import Ended
from .conftest import all_ready, family, pids

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

Fc = Callable[[str], Ended]

OWN = {
    "DISABLE_CREATE_INVOICE_DIRECTLY": {"paymentfc"},
    "ADMIN_PASSWORD": {"userfc"},
    "LOGIN_LIMIT_PER_ADDRESS": {"userfc"},
    "MONGO_URI": {"paymentfc"},
    "PRODUCT_HOST": {"orderfc"},
}


# Up, and up again


def test_up_a_second_time_says_so_and_changes_no_process(stack: Stack, fc: Fc) -> None:
    before = pids(stack)
    said = fc("up")
    assert said.code == 0
    assert said.out.splitlines()[0] == "The stack is already running, all four services are ready."
    assert "Settings have changed" not in said.out
    assert pids(stack) == before
    assert stack.up() is False


def test_settings_that_have_changed_meanwhile_are_pointed_out_and_left_for_the_next_start(
    stack: Stack, fc: Fc, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pids(stack)
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    assert "Settings have changed since it was started: `fc down` and `fc up` apply them." in fc("up").out
    assert pids(stack) == before


def test_up_starts_a_part_that_was_stopped_and_leaves_the_others_alone(stack: Stack, fc: Fc) -> None:
    before = pids(stack)
    stack.supervisor.stop("orderfc")
    assert fc("status").code == 1
    said = fc("up")
    assert said.code == 0
    assert "The stack is up, all four services are ready" in said.out
    after = pids(stack)
    assert after.pop("orderfc") != before.pop("orderfc")
    assert after == before
    assert all_ready(stack)


def test_status_shows_every_part_with_its_process_and_port(stack: Stack, fc: Fc) -> None:
    said = fc("status")
    assert said.code == 0
    rows = {words[0]: words[1:] for line in said.out.splitlines() if "running" in (words := line.split())}
    assert list(rows) == ["postgres", "redis", "kafka", "mongo", "xendit", *DEPLOYED]
    for name, (state, pid, _day, _time, port) in rows.items():
        assert state == "running"
        assert psutil.Process(int(pid)).environ()[processes.MARK] == str(stack.home)
        assert int(port) == stack.layout.port(name)
        assert ports.holder(int(port)).startswith(f"process {pid} ")


# What each part was told


def test_each_service_has_its_own_settings_and_no_others(stack: Stack) -> None:
    found = {service: psutil.Process(pids(stack)[service]).environ() for service in SERVICES}
    for name, readers in OWN.items():
        assert {service for service, told in found.items() if name in told} == readers, name
    assert found["paymentfc"]["DISABLE_CREATE_INVOICE_DIRECTLY"] == "true"
    for service, told in found.items():
        assert (told["DB_NAME"], told["DB_USER"]) == (service, f"{service}_app")
        assert not {name for name in told if name.startswith("XENDIT_SIM_")}


def test_servers_and_simulator_are_told_no_secret_of_the_services(stack: Stack) -> None:
    for name in ("postgres", "redis", "kafka", "mongo", "xendit"):
        told = psutil.Process(pids(stack)[name]).environ()
        assert not {"JWT_SECRET", "DB_PASSWORD", "ADMIN_PASSWORD", "GRPC_CREDENTIALS"} & set(told), name


def test_every_process_listens_on_loopback_only(stack: Stack) -> None:
    found = {
        (connection.laddr.ip, connection.laddr.port)
        for process in family(stack)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {port for _, port in found} >= {stack.layout.port(name) for name in stack.programs.ports()}
    assert {address.removeprefix("::ffff:") for address, _ in found} == {"127.0.0.1"}


# The seed


class Catalogue:
    """The products and categories, as an administrator changes them."""

    def __init__(self, http: httpx2.Client) -> None:
        self.http = http

    def products(self) -> list[dict[str, Any]]:
        """Return all products."""
        answer = self.http.get("/v1/products/search", params={"page_size": 100})
        answer.raise_for_status()
        return list(answer.json()["products"])

    def named(self, name: str) -> dict[str, Any]:
        """Return the one product of this name."""
        [found] = [item for item in self.products() if item["name"] == name]
        return dict(found)


@pytest.fixture
def shop(stack: Stack, fc: Fc) -> Iterator[Catalogue]:
    """The seeded shop."""
    assert fc("seed").code == 0
    with httpx2.Client(trust_env=False, timeout=10) as http:
        email, password = stack.accounts()["admin"]
        login = http.post(f"{stack.layout.url('userfc')}/v1/login", json={"email": email, "password": password})
        http.headers["Authorization"] = f"Bearer {login.json()['token']}"
        http.base_url = stack.layout.url("productfc")
        yield Catalogue(http)


def test_seeding_again_makes_nothing_and_the_shop_is_as_the_catalogue_says(shop: Catalogue, fc: Fc) -> None:
    said = fc("seed")
    assert (said.code, said.out) == (0, "Seeded already.\n")
    products = shop.products()
    assert len(products) == 20
    assert {item["category"]["name"] for item in products} == set(CATALOGUE)
    assert shop.named("Last Piece Vase")["stock"] == 1
    assert shop.named("Sold Out Rug")["stock"] == 0
    assert shop.named("Desk Lamp")["price"] == 275_000


def test_everybody_who_was_seeded_can_sign_in(stack: Stack, fc: Fc) -> None:
    fc("seed")
    for name, (email, password) in ACCOUNTS.items():
        url = stack.layout.url("userfc")
        login = httpx2.post(f"{url}/v1/login", json={"email": email, "password": password}, trust_env=False)
        headers = {"Authorization": f"Bearer {login.json()['token']}"}
        role = httpx2.get(f"{url}/v1/user-info", headers=headers, trust_env=False).json()["role"]
        assert role == ("admin" if name == "admin" else "user")


def test_seeding_makes_what_is_missing_and_keeps_what_was_changed(shop: Catalogue, fc: Fc) -> None:
    shop.http.delete(f"/v1/products/{shop.named('Wall Clock')['id']}").raise_for_status()
    mug = shop.named("Ceramic Mug")
    try:
        shop.http.put(f"/v1/products/{mug['id']}", json={"price": 46_000}).raise_for_status()
        assert fc("seed").out == "Seeded: 1 rows created.\n"
        assert shop.named("Wall Clock")["price"] == 150_000
        assert shop.named("Ceramic Mug")["price"] == 46_000
    finally:
        shop.http.put(f"/v1/products/{mug['id']}", json={"price": mug["price"]}).raise_for_status()


# Logs


def test_logs_shows_what_the_services_write(stack: Stack, fc: Fc) -> None:
    said = fc("logs -n 1000 orderfc")
    assert said.code == 0
    assert any('"event":"started"' in line.replace(" ", "") for line in said.out.splitlines())
    assert all(line.startswith("orderfc | ") for line in said.out.splitlines())


def test_only_its_owner_may_read_the_configuration_or_use_the_socket(stack: Stack) -> None:
    configured = stack.home / "run" / "supervisord.conf"
    for path in (configured, stack.layout.socket):
        assert os.stat(path).st_mode & 0o077 == 0
