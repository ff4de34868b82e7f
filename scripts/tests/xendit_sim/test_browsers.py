"""Web pages of other sites: a browser that has them open can't be used to drive the simulator."""

import httpx2
import pytest

from xendit_sim.config import Settings

from .conftest import Merchant, Sim, simulated

FOREIGN = ["https://evil.test", "http://evil.test", "null", "http://sim.test.evil.test", "http://sim.test:81", ""]


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("path", ["/web/{id}/pay", "/_sim/invoices/{id}/pay", "/_sim/reset", "/v2/invoices"])
async def test_a_page_of_another_origin_changes_nothing(sim: Sim, origin: str, path: str) -> None:
    invoice = await sim.create()
    headers = {"origin": origin, "content-type": "text/plain"}
    answer = await sim.http.post(path.format(id=invoice["id"]), headers=headers, content=b"{}")
    assert answer.status_code == 403
    assert (await sim.get(invoice))["status"] == "PENDING"
    assert (await sim.http.put("/_sim/faults", json={"auto_pay": True}, headers=headers)).status_code == 403


@pytest.mark.parametrize("origin", ["http://sim.test", "https://sim.test", "HTTP://SIM.TEST"])
async def test_its_own_pay_page_pays(sim: Sim, origin: str) -> None:
    invoice = await sim.create()
    answer = await sim.http.post(f"/web/{invoice['id']}/pay", headers={"origin": origin})
    assert answer.status_code == 303
    assert (await sim.get(invoice))["status"] == "PAID"


@pytest.mark.parametrize(
    "host", ["evil.test", "evil.test:28090", "", "sim.test.evil.test", "[", "127.0.0.2", "sim.test@evil.test"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_name_that_was_pointed_at_this_machine_reads_and_changes_nothing(
    sim: Sim, method: str, host: str
) -> None:
    for path in ("/_sim/invoices", "/v2/invoices", "/ping"):
        answer = await sim.http.request(method, path, headers={"host": host})
        assert answer.status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:28090", "127.0.0.1:9", "[::1]:28090", "pay.test", "SIM.TEST"])
async def test_the_names_of_this_machine_and_those_that_are_set_are_its_own(sim: Sim, host: str) -> None:
    assert (await sim.http.get("/ping", headers={"host": host})).status_code == 200


async def test_a_request_with_two_host_headers_is_refused(merchant: Merchant) -> None:
    async with simulated(merchant) as sim:
        request = sim.http.build_request("GET", "/ping", headers=[("host", "sim.test"), ("host", "evil.test")])
        assert (await sim.http.send(request)).status_code == 403


def test_the_names_come_from_the_environment() -> None:
    settings = Settings.from_env({"XENDIT_SIM_HOSTS": "xendit-simulator, Other ,", "XENDIT_SIM_HOST": "0.0.0.0"})
    assert settings.allowed_hosts >= {"xendit-simulator", "other", "localhost", "127.0.0.1"}
    assert Settings.from_env({}).hosts == frozenset()


async def test_an_answer_may_be_padded_and_an_email_refused(sim: Sim) -> None:
    await sim.faults(answer_padding=2_000_000, refuse_email=True)
    body = {"external_id": "order-7", "amount": 150_000}
    made = await sim.http.post("/v2/invoices", json=body)
    assert (made.status_code, len(made.content) > 2_000_000) == (200, True)
    for email in ({"payer_email": "a@example.com"}, {"customer": {"email": "a@example.com"}}):
        refused: httpx2.Response = await sim.http.post("/v2/invoices", json=body | email)
        assert (refused.status_code, refused.json()["error_code"]) == (400, "EMAIL_FORMAT_ERROR")
