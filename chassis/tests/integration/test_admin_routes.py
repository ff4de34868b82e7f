"""What every service shows an administrator: its outbox page by page, its inbox, its process."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from chassis import loops
from chassis.admin import routes
from chassis.admin.inside import Inside
from chassis.auth.tokens import TokenVerifier, encode_token
from chassis.config.settings import ServiceSettings, load
from chassis.db import outbox_admin
from chassis.db.database import Database, Tx
from chassis.db.inbox import first_time
from chassis.db.outbox_admin import Retry, Row, Unsent
from chassis.events import Event, Message, identity
from chassis.http.app import create_app
from chassis.loops import LastRun

ADDRESS = "203.0.113.7"


class Settings(ServiceSettings):
    """Those of a service whose migrations are orderfc's."""

    service = "orderfc"


@dataclass
class Admin:
    """An application with the routes of the chassis, and what its hook was told."""

    db: Database
    http: httpx2.AsyncClient
    headers: dict[str, str]
    told: list[tuple[Row, Retry]] = field(default_factory=list)

    async def get(self, path: str, expected: int = 200, **query: Any) -> Any:
        answer = await self.http.get(f"/v1/admin/{path}", params=query, headers=self.headers)
        assert answer.status_code == expected, answer.text
        return answer.json()

    async def retry(self, row_id: int, expected: int = 200, **body: object) -> Any:
        url = f"/v1/admin/outbox/{row_id}/retry"
        answer = await self.http.post(url, json=body or {"reason": "it was late"}, headers=self.headers)
        assert answer.status_code == expected, answer.text
        return answer.json()

    async def publish(self, topic: str, *keys: str) -> list[UUID]:
        events = [Event(topic, key, json.dumps({"order_id": key})) for key in keys]
        async with self.db.transaction() as tx:
            await tx.publish(*events)
        return [event.event_id for event in events]

    async def change(self, assignment: str, *event_ids: UUID) -> None:
        async with self.db.driver() as connection:
            await connection.execute(f"UPDATE outbox SET {assignment} WHERE event_id = ANY($1)", event_ids)


@pytest.fixture
async def admin(
    make_database: Callable[[str], Awaitable[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Admin]:
    # orderfc's own file has settings that these do not know.
    (tmp_path / "config.yaml").write_text("")
    monkeypatch.setenv("CONFIG_FILE", str(tmp_path / "config.yaml"))
    settings = load(Settings, **await make_database("orderfc"))
    app, db = create_app(settings, routers=routes.routers(has_events=True)), Database(settings)
    token = encode_token(settings.jwt_secret, user_id=9, email="admin@example.com", role="admin")
    transport = httpx2.ASGITransport(app=app, client=(ADDRESS, 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", timeout=15) as http:
        opened = Admin(db, http, {"Authorization": f"Bearer {token}"})

        async def note(_: Tx, row: Row, retry: Retry) -> None:
            opened.told.append((row, retry))

        app.state.db, app.state.verifier = db, TokenVerifier(settings.jwt_secret)
        app.state.inside, app.state.on_retry = Inside(), note
        yield opened
    await db.close()


async def every_page(admin: Admin, **query: Any) -> list[dict[str, Any]]:
    """Follow the pages of the outbox to the end."""
    found: list[dict[str, Any]] = []
    place: dict[str, Any] = {}
    for _ in range(50):
        page = await admin.get("outbox", **query, **place)
        found += page["items"]
        if page["next_after_id"] is None:
            return found
        place = {"after_id": page["next_after_id"]}
    raise AssertionError("the pages do not end")


async def test_the_pages_of_the_outbox_hold_every_unsent_event_once(admin: Admin) -> None:
    first = await admin.publish("b.topic", *(f"order-{number}" for number in range(5)))
    second = await admin.publish("a.topic", "order-9", "order-1", "order-1")
    parked = [first[3], second[0]]
    await admin.change("parked_at = now(), attempts = 12, next_attempt_at = now() + interval '1 hour'", *parked)
    await admin.change("published_at = now()", first[0])
    unsent = {str(each) for each in [*first[1:], *second]}

    rows = await every_page(admin, limit=2)
    assert {row["event_id"] for row in rows} == unsent
    places = [(row["topic"], row["key"], row["id"]) for row in rows]
    assert places == sorted(set(places))
    assert {row["event_id"] for row in await every_page(admin, state="parked", limit=1)} == set(map(str, parked))
    pending = await every_page(admin, state="pending", limit=2)
    assert {row["event_id"] for row in pending} == unsent - set(map(str, parked))
    assert {row["state"] for row in pending} == {"pending"}
    of_topic = await every_page(admin, topic="a.topic", limit=2)
    assert {row["event_id"] for row in of_topic} == set(map(str, second))
    assert await every_page(admin, topic="c.topic") == []


async def test_a_page_that_few_rows_fit_ends_after_a_bounded_number_of_rows_and_the_next_goes_on(admin: Admin) -> None:
    events = await admin.publish("topic", *(f"k{number:02}" for number in range(12)))
    await admin.change("parked_at = now()", events[10])

    async def page(after_id: int | None) -> outbox_admin.Page:
        return await outbox_admin.page(admin.db, topic=None, state=Unsent.PARKED, after_id=after_id, limit=3, scan=5)

    pages, after = [], None
    for _ in range(3):
        pages.append(await page(after))
        after = pages[-1].next_after_id
    assert [len(each.rows) for each in pages] == [0, 0, 1]
    assert [each.next_after_id is None for each in pages] == [False, False, True]
    assert pages[2].rows[0]["event_id"] == events[10]


async def test_the_events_of_a_key_and_one_event_are_found_and_show_what_they_say_only_when_asked(admin: Admin) -> None:
    [late] = await admin.publish("b.topic", "order-7")
    [other] = await admin.publish("a.topic", "order-7")
    await admin.publish("a.topic", "order-8")
    found = await admin.get("outbox", key="order-7")
    assert ([row["event_id"] for row in found["items"]], found["next_after_id"]) == ([str(late), str(other)], None)
    assert [row["payload"] for row in found["items"]] == [None, None]
    found = await admin.get("outbox", key="order-7", topic="a.topic", include="payload", limit=1)
    assert [(row["event_id"], row["payload"]) for row in found["items"]] == [(str(other), {"order_id": "order-7"})]
    assert (await admin.get("outbox", key="order-7", state="parked"))["items"] == []
    await admin.change("published_at = now()", late)
    assert [row["event_id"] for row in (await admin.get("outbox", key="order-7"))["items"]] == [str(other)]
    [row] = (await admin.get("outbox", event_id=late))["items"]
    assert (row["state"], row["published_at"] is None) == ("published", False)
    assert (await admin.get("outbox", event_id=uuid4()))["items"] == []
    await admin.get("outbox", 400, key="order-7", after_id=1)
    assert "after_id" in (await admin.get("outbox", 400, after_id=10**12))["error"]


async def test_an_event_that_backs_off_is_due_at_once_and_the_hook_learns_who_wanted_it_and_why(admin: Admin) -> None:
    [parked] = await admin.publish("topic", "order-7")
    await admin.change("parked_at = now(), next_attempt_at = now() + interval '1 hour', attempts = 12", parked)
    [row] = (await admin.get("outbox", event_id=parked))["items"]
    admin.db.relay_wake.clear()
    answer = await admin.retry(row["id"], reason=" the broker is back ")
    assert (answer["state"], answer["attempts"]) == ("parked", 12)
    assert answer["next_attempt_at"] < row["next_attempt_at"]
    assert admin.db.relay_wake.is_set()
    [(told, retry)] = admin.told
    assert told["event_id"] == parked
    assert retry == Retry(9, "admin@example.com", ADDRESS, "the broker is back")


async def test_an_event_that_is_new_or_has_left_stays_as_it_is_and_an_unknown_one_is_404(admin: Admin) -> None:
    new, sent = await admin.publish("topic", "order-7", "order-8")
    await admin.change("published_at = now(), next_attempt_at = '2026-01-01'", sent)
    for event in (new, sent):
        [row] = (await admin.get("outbox", event_id=event))["items"]
        assert await admin.retry(row["id"]) == row
    await admin.retry(10**12, 404)
    await admin.retry(0, 400)
    for reason in ("", "  ", "x" * 1001, 7, None):
        await admin.retry(1, 400, reason=reason)
    assert len(admin.told) == 2


async def test_each_route_is_for_administrators_only(admin: Admin) -> None:
    settings = admin.db.settings
    token = encode_token(settings.jwt_secret, user_id=3, email="bob@example.com", role="user")
    user = {"Authorization": f"Bearer {token}"}
    for method, path in (("GET", "outbox"), ("GET", f"inbox?event_ids={uuid4()}"), ("GET", "process")):
        assert (await admin.http.request(method, f"/v1/admin/{path}")).status_code == 401
        assert (await admin.http.request(method, f"/v1/admin/{path}", headers=user)).status_code == 403
    [event] = await admin.publish("topic", "order-7")
    await admin.change("next_attempt_at = now() + interval '1 hour'", event)
    [row] = (await admin.get("outbox", event_id=event))["items"]
    answer = await admin.http.post(f"/v1/admin/outbox/{row['id']}/retry", json={"reason": "x"}, headers=user)
    assert (answer.status_code, admin.told) == (403, [])
    assert (await admin.get("outbox", event_id=event))["items"] == [row]


async def test_the_inbox_tells_the_events_that_were_applied_from_the_others(admin: Admin) -> None:
    ids = [str(uuid4()) for _ in range(3)]
    messages = [
        Message.received("t", 0, place, b"k", b"{}", [("ce_id", each.encode()), ("ce_source", b"paymentfc")])
        for place, each in enumerate(ids)
    ]
    async with admin.db.transaction() as tx:
        await first_time(tx, "orderfc", messages[0])
        await first_time(tx, "another", messages[1])
    asked = [str(identity("paymentfc", "t", each)) for each in ids]
    found = await admin.get("inbox", event_ids=",".join(asked))
    assert found["consumer"] == "orderfc"
    assert [row["event_id"] for row in found["items"]] == asked[:1]
    assert (await admin.get("inbox", event_ids=",".join(str(uuid4()) for _ in range(100))))["items"] == []
    one = str(uuid4())
    spelled = (f"{{{one}}}", f"urn:uuid:{one}", one.replace("-", ""), f"{one}\n", f"\uff10{one[1:]}")
    for refused in ("", "7", ",".join(str(uuid4()) for _ in range(101)), f"{uuid4()},", *spelled):
        await admin.get("inbox", 400, event_ids=refused)


async def test_the_process_shows_no_secret_and_asks_nobody(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(loops.LAST_RUNS, "a loop", LastRun(1_795_681_801.5, "outage"))
    settings = admin.db.settings
    await admin.db.close()
    shown = await admin.get("process")
    assert (shown["service"], shown["relay"], shown["assignments"]) == ("orderfc", None, [])
    assert {"name": "a loop", "last_run_at": "2026-11-26T08:30:01.500000Z", "outcome": "outage"} in shown["loops"]
    assert shown["settings"]["db_port"] == settings.db_port
    secrets = {
        name for name in ServiceSettings.model_fields if "password" in name or "secret" in name or "token" in name
    }
    assert secrets > {"db_password", "jwt_secret", "redis_password"}
    assert shown["settings"].keys() & secrets == set()
    text = json.dumps(shown)
    for name in ("jwt_secret", "grpc_credentials"):
        assert getattr(settings, name).get_secret_value() not in text


@pytest.mark.parametrize(
    "query", ["state=sent", "limit=0", "limit=101", "limit=+1", "after_id=0", "event_id=7", "key="]
)
async def test_a_query_that_can_not_be_is_400(admin: Admin, query: str) -> None:
    answer = await admin.http.get(f"/v1/admin/outbox?{query}", headers=admin.headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
