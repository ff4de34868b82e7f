"""What administrators do is in the audit log, with who did it and from where."""

import json
from ipaddress import ip_network

import httpx2
from fastapi import FastAPI

from chassis.ids import uuid7

from .bench import Bench, bearer

ACTIONS = (
    "SELECT order_id, event, actor, metadata::text AS facts FROM audit_outbox WHERE event LIKE 'admin.%' ORDER BY id"
)
PARKED = """
INSERT INTO failed_events (event_id, topic, key, payload, attempts) VALUES ($1, 'payment.success', 'order-7', '{}', 12)
"""


async def test_a_resolved_anomaly_names_who_resolved_it_and_from_where(bench: Bench, http: httpx2.AsyncClient) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment, amount=payment.amount - 1)
    admin = bearer(bench.settings, 9, "admin")
    [row] = (await http.get("/v1/payments/anomalies", headers=admin)).json()["items"]
    body = {"note": "give it back", "action": "close"}
    url = f"/v1/payments/anomalies/{row['id']}/resolve"
    assert (await http.post(url, headers=admin, json=body)).status_code == 200
    assert (await http.post("/v1/payments/anomalies/999999/resolve", headers=admin, json=body)).status_code == 404
    [action] = await bench.rows(ACTIONS)
    assert (action["order_id"], action["actor"]) == (payment.order_id, "admin:9")
    assert action["event"] == "admin.anomaly_resolved"
    assert json.loads(action["facts"]) == {
        "anomaly_id": row["id"],
        "kind": "amount_mismatch",
        "note": "give it back",
        "close": True,
        "address": "127.0.0.1",
    }


async def test_a_parked_event_that_is_sent_again_names_who_did_it(bench: Bench, http: httpx2.AsyncClient) -> None:
    event_id = uuid7()
    await bench.execute(PARKED, event_id)
    admin = bearer(bench.settings, 9, "admin")
    [row] = (await http.get("/v1/payments/failed-events", headers=admin)).json()["items"]
    assert (await http.post(f"/v1/payments/failed-events/{row['id']}/retry", headers=admin)).status_code == 200
    [action] = await bench.rows(ACTIONS)
    assert (action["order_id"], action["event"], action["actor"]) == (7, "admin.event_retried", "admin:9")
    facts = {"event_id": str(event_id), "topic": "payment.success", "address": "127.0.0.1"}
    assert json.loads(action["facts"]) == facts


async def test_the_address_is_the_clients_behind_a_trusted_proxy(
    bench: Bench, app: FastAPI, http: httpx2.AsyncClient
) -> None:
    await bench.execute(PARKED, uuid7())
    admin = bearer(bench.settings, 9, "admin") | {"x-forwarded-for": "198.51.100.9, 203.0.113.7:4711"}
    [row] = (await http.get("/v1/payments/failed-events", headers=admin)).json()["items"]
    url = f"/v1/payments/failed-events/{row['id']}/retry"
    assert (await http.post(url, headers=admin)).status_code == 200
    app.state.settings = app.state.settings.model_copy(update={"trusted_proxies": (ip_network("127.0.0.0/8"),)})
    assert (await http.post(url, headers=admin)).status_code == 200
    addresses = [json.loads(action["facts"])["address"] for action in await bench.rows(ACTIONS)]
    assert addresses == ["127.0.0.1", "203.0.113.7"]
