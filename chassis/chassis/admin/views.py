"""The queries and answers of the chassis' routes for administrators."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from chassis.db.outbox_admin import Row, Unsent
from chassis.ids import PathId, Text, TrimmedText, digits
from chassis.times import UtcTime

EVENT_ID = "01a210a9-9ec2-78c3-b1f9-482d059d4740"
MAX_LIMIT = 100

Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT), BeforeValidator(digits)]


class OutboxQuery(BaseModel):
    """The query of GET /v1/admin/outbox."""

    state: Unsent | None = Field(None, description="Only events that are not parked, or only those that are")
    topic: Annotated[Text, Field(min_length=1, max_length=249)] | None = None
    key: Annotated[Text, Field(min_length=1, max_length=255)] | None = Field(
        None, description="Only the oldest events of this key, without pages", examples=["order-1001"]
    )
    event_id: UUID | None = Field(None, description="Only this event, also when it has left; no other filter counts")
    include: Literal["payload"] | None = Field(None, description="`payload` adds what the events say")
    after_id: PathId | None = Field(None, description="`next_after_id` of the page before")
    limit: Limit = 20


class OutboxEvent(BaseModel):
    """A row of the outbox."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(examples=[4711])
    event_id: UUID = Field(examples=[EVENT_ID])
    topic: str = Field(examples=["order.created"])
    key: str = Field(examples=["order-1001"])
    state: Literal["pending", "parked", "published"]
    created_at: UtcTime = Field(examples=["2026-11-25T08:30:00.125Z"])
    attempts: int = Field(examples=[3])
    next_attempt_at: UtcTime | None = Field(examples=["2026-11-25T08:30:08Z"])
    parked_at: UtcTime | None = Field(examples=[None])
    published_at: UtcTime | None = Field(examples=[None])
    last_error: str | None = Field(examples=["the broker does not answer"])
    payload: Any = Field(None, description="Null unless it was asked for", examples=[{"order_id": 1001}])

    @classmethod
    def of(cls, row: Row, payload: str | None = None) -> Self:
        return cls.model_validate({**row, "payload": None if payload is None else orjson.loads(payload)})


class OutboxPage(BaseModel):
    """Events in the order of topic, key and id.

    A page may have fewer events than its limit and still have a next one, where many rows do not fit the filter.
    """

    items: list[OutboxEvent]
    next_after_id: int | None = Field(description="Where the next page begins; null at the end", examples=[4711])


class RetryBody(BaseModel):
    """Why an event is sent now."""

    reason: Annotated[TrimmedText, Field(min_length=1, max_length=1000)] = Field(examples=["the broker is back"])


class Received(BaseModel):
    """An event that this service has applied."""

    event_id: UUID = Field(examples=[EVENT_ID])
    received_at: UtcTime = Field(examples=["2026-11-25T08:30:00.250Z"])


class InboxView(BaseModel):
    """Those of the events that this service has applied, and not purged since."""

    consumer: str = Field(examples=["paymentfc"])
    items: list[Received]


class WaitingView(BaseModel):
    """The first message of a key that waits for another try."""

    model_config = ConfigDict(from_attributes=True)

    key: str | None = Field(examples=["order-1001"])
    offset: int = Field(examples=[118])
    tries: int = Field(examples=[2])
    next_try_at: UtcTime = Field(examples=["2026-11-25T08:30:04Z"])
    error: str | None = Field(examples=["NotYet: order 1001 is not known yet"])


class AssignmentView(BaseModel):
    """A partition that this process works on; offsets are those of the next message, null before the first."""

    model_config = ConfigDict(from_attributes=True)

    topic: str = Field(examples=["order.created"])
    partition: int = Field(examples=[3])
    position: int | None = Field(description="All before it is done", examples=[118])
    committed: int | None = Field(description="What Kafka knows of the position", examples=[118])
    end: int | None = Field(description="The end of the log, when it was last fetched", examples=[121])
    outage: str | None = Field(
        description="The failure of the dependency that the partition waits for", examples=["OSError: no answer"]
    )
    waiting: int = Field(description="Messages that wait for another try", examples=[1])
    retrying: list[WaitingView] = Field(description="The first message of each key that waits, at most 20")


class RelayView(BaseModel):
    """The relay of this process; of several processes one has the active relay."""

    model_config = ConfigDict(from_attributes=True)

    active_since: UtcTime | None = Field(
        description="Null while another process has the active relay, or the database is away",
        examples=["2026-11-25T08:00:02Z"],
    )
    in_flight: int = Field(description="Keys with an event on its way", examples=[0])
    broker_away: bool = Field(examples=[False])
    failed_sessions: int = Field(description="Database sessions lost in a row", examples=[0])


class LoopView(BaseModel):
    """A background loop that has run in this process."""

    name: str = Field(examples=["housekeeping"])
    last_run_at: UtcTime = Field(examples=["2026-11-25T08:20:00Z"])
    outcome: Literal["done", "outage"]


class ProcessView(BaseModel):
    """What one process of a service is doing. Of several, another one may answer the next request."""

    service: str = Field(examples=["orderfc"])
    version: str = Field(examples=["1.0.0"])
    revision: str = Field(description="The newest migration that it knows", examples=["0003"])
    instance: str = Field(description="Host and process id", examples=["orderfc-5d8c7:17"])
    started_at: UtcTime = Field(examples=["2026-11-25T08:00:00Z"])
    settings: dict[str, Any] = Field(
        description="All that are no secrets; addresses without user and password", examples=[{"log_level": "INFO"}]
    )
    relay: RelayView | None = Field(description="Null in a process without one")
    assignments: list[AssignmentView]
    loops: list[LoopView]
