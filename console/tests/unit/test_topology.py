"""The map of the platform, the counts beside it, and the states that they are made from."""

from typing import Any

import pytest

from console.model import layout
from console.model.readings import Readings
from console.model.standing import Standing, read, worst
from console.model.steps import Step
from console.model.tiles import anomalies_tile, letters_tile, outbox_tile, waiting_tile
from console.model.topology import SERVICES, WORKERS, topology
from console.model.written import seconds

from .looks import Shown, all_ready, readings


def nothing() -> dict[str, Readings]:
    return {name: readings() for name in SERVICES}


def test_every_part_and_edge_of_the_graph_has_its_place() -> None:
    drawn = topology(all_ready(), nothing())
    assert drawn.nodes.keys() == layout.BOXES.keys()
    assert drawn.edges.keys() == layout.ARROWS.keys()
    boxes = list(layout.BOXES.values())
    assert all(box.x >= 0 and box.x + box.width <= layout.WIDTH for box in boxes)
    assert all(box.y >= 0 and box.y + box.height <= layout.HEIGHT for box in boxes)
    apart = [
        one.x + one.width <= other.x
        or other.x + other.width <= one.x
        or one.y + one.height <= other.y
        or other.y + other.height <= one.y
        for number, one in enumerate(boxes)
        for other in boxes[number + 1 :]
    ]
    assert all(apart)


def test_a_dependency_is_what_those_who_use_it_say() -> None:
    standings = all_ready()
    assert topology(standings, nothing()).nodes["kafka"].kind == "good"
    standings["orderfc"] = Standing("degraded", {"kafka": "degraded: unreachable", "database": "ok"})
    partly = topology(standings, nothing()).nodes["kafka"]
    assert (partly.kind, partly.note) == ("warn", "to orderfc")
    for name in WORKERS:
        standings[name] = Standing("degraded", {"kafka": "degraded: unreachable", "database": "ok"})
    assert topology(standings, nothing()).nodes["kafka"].kind == "bad"
    for name in WORKERS:
        standings[name] = Standing("away")
    assert topology(standings, nothing()).nodes["kafka"].kind == "off"
    assert topology(standings, nothing()).nodes["orderfc-db"].text == "unknown"


@pytest.mark.parametrize(
    ("pending", "parked", "oldest", "kind"),
    [(0, 0, 0, "off"), (3, 0, 2, "off"), (3, 0, 11, "warn"), (3, 0, 61, "bad"), (1, 1, 0, "bad")],
)
def test_the_edge_to_kafka_tells_of_the_outbox(pending: int, parked: int, oldest: float, kind: str) -> None:
    shown = Shown()
    shown.pending.set(pending)
    shown.parked.set(parked)
    shown.oldest.set(oldest)
    by_service = nothing() | {"orderfc": readings(shown.text, shown.text)}
    edge = topology(all_ready(), by_service).edges["orderfc-kafka"]
    assert edge.kind == kind
    assert edge.waiting == ("" if not pending else f"{pending} waiting, {seconds(oldest)}")
    assert edge.failures == ("1 parked" if parked else "")


def test_an_edge_has_its_rate_and_what_fails() -> None:
    shown = Shown()
    before = shown.text
    for status in ("200", "200", "200", "503"):
        error = "503" if status == "503" else ""
        shown.calls.labels("xendit", "POST", "/v2/invoices", status, error).observe(0.02)
    shown.calls.labels("productfc", "GET", "/v1/products", "200", "").observe(0.02)
    by_service = nothing() | {"paymentfc": readings(before, shown.text)}
    edge = topology(all_ready(), by_service).edges["paymentfc-xendit"]
    assert (edge.kind, edge.rate, edge.failures) == ("bad", "0.8/s", "25% fail")
    assert topology(all_ready(), by_service).nodes["xendit"].text == "25% fail"


def test_a_consumer_tells_of_its_lag_and_of_dead_letters() -> None:
    shown = Shown()
    shown.lag.labels("order.created", "0").set(4)
    shown.lag.labels("order.created", "1").set(3)
    before = shown.text
    by_service = nothing() | {"paymentfc": readings(before, before)}
    edge = topology(all_ready(), by_service).edges["kafka-paymentfc"]
    assert (edge.kind, edge.waiting) == ("warn", "lag 7")
    shown.letters.labels("order.created", "invalid_json").inc()
    by_service["paymentfc"] = readings(before, shown.text)
    edge = topology(all_ready(), by_service).edges["kafka-paymentfc"]
    assert (edge.kind, edge.failures) == ("bad", "1 dead letters")


def test_the_tile_of_the_outboxes() -> None:
    shown = Shown()
    by_service = {name: readings(shown.text) for name in WORKERS}
    assert outbox_tile(by_service).kind == "good"
    assert outbox_tile(nothing()).kind == "off"
    shown.pending.set(2)
    shown.oldest.set(90)
    by_service["orderfc"] = readings(shown.text)
    by_service["productfc"] = readings()
    tile = outbox_tile(by_service)
    assert (tile.number, tile.kind, tile.text) == ("2+", "bad", "oldest 2 min")
    assert tile.notes == ["orderfc: 2 pending, 0 parked", "not known of productfc"]
    by_service["orderfc"] = readings(Shown().text)
    assert (outbox_tile(by_service).number, outbox_tile(by_service).kind) == ("-", "off")


def test_the_tile_of_money_says_which_refunds_wait_first() -> None:
    shown = Shown()
    shown.anomalies.labels("paid_twice").set(1)
    shown.anomalies.labels("unconfirmed").set(0)
    for status in ("DUE", "FAILED", "MANUAL"):
        shown.refunds.labels(status).set(0)
    tile = anomalies_tile(readings(shown.text))
    assert (tile.kind, tile.number, tile.notes) == ("warn", "1", ["1 paid twice"])
    shown.refunds.labels("DUE").set(1)
    shown.refunds.labels("MANUAL").set(2)
    tile = anomalies_tile(readings(shown.text))
    assert (tile.kind, tile.text) == ("bad", "3 refunds to be handled")
    assert tile.notes == ["1 paid twice", "1 refund due", "2 refunds manual"]


def test_the_money_tile_is_not_good_if_a_part_is_unknown() -> None:
    shown = Shown()
    shown.anomalies.labels("paid_twice").set(0)
    tile = anomalies_tile(readings(shown.text))
    assert (tile.kind, tile.text, tile.notes) == ("off", "unknown", ["refunds are not known"])
    shown.refunds.labels("DUE").set(0)
    assert anomalies_tile(readings(shown.text)).kind == "good"
    assert anomalies_tile(readings()).kind == "off"


def test_the_tile_of_dead_letters_counts_them_by_topic() -> None:
    assert (letters_tile(None).kind, letters_tile([]).kind) == ("off", "good")
    tile = letters_tile(["order.created", "payment.success", "order.created"])
    assert (tile.number, tile.kind, tile.notes) == ("3", "bad", ["2 of order.created", "1 of payment.success"])


def test_dead_letters_that_are_not_read_leave_their_number_open() -> None:
    tile = letters_tile(["order.created"], 5)
    assert (tile.number, tile.kind, tile.notes) == ("1+", "bad", ["1 of order.created", "5 more are not read"])
    tile = letters_tile([], 5)
    assert (tile.number, tile.kind, tile.text) == ("-", "off", "unknown")


def test_the_tile_of_waiting_orders_has_the_oldest_of_each_step() -> None:
    tile = waiting_tile([(Step.STOCK, 3.0), (Step.INVOICE, 61.0), (Step.STOCK, 24.0)], 7, is_whole=True)
    assert (tile.number, tile.kind, tile.text) == ("3", "warn", "oldest 1 min")
    assert tile.notes == ["2 for stock, oldest 24.0 s", "1 for invoice, oldest 1 min", "7 wait for their customers"]
    assert [tile.leads[note] for note in tile.notes] == [
        f"/orders?step={step}" for step in ("stock", "invoice", "customer")
    ]
    assert waiting_tile([], 0, is_whole=True).kind == "good"
    tile = waiting_tile([], 0, is_whole=False)
    assert (tile.number, tile.kind, tile.text) == ("-", "off", "not everything is known")
    assert waiting_tile([(Step.STOCK, 3.0)], 0, is_whole=False).number == "1+"


def test_the_state_of_a_service_is_read_from_ready() -> None:
    assert read({"status": "ready", "checks": {"database": "ok"}, "migrations": "ok"}).state == "ready"
    degraded = read({"status": "ready", "checks": {"kafka": "degraded: unreachable"}, "migrations": "ok"})
    assert (degraded.state, degraded.degraded) == ("degraded", {"kafka": "degraded: unreachable"})
    behind = read({"status": "not_ready", "checks": {}, "migrations": "failed: not current"})
    assert (behind.state, behind.checks) == ("not ready", {"migrations": "failed: not current"})
    assert read({"status": "ready"}).state == "ready"
    assert read({"status": "other"}).state == "unknown"
    wrongs: tuple[Any, ...] = ([], {}, {"status": 3}, "ready")
    for wrong in wrongs:
        with pytest.raises(ValueError, match="ready"):
            read(wrong)
    assert worst([Standing("ready"), Standing("away"), Standing("degraded")]).state == "away"
    assert worst([]).state == "unknown"
