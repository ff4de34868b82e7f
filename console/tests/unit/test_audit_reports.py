"""The runs are read again only when the topic has changed, because the console asks for them every minute."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from console.client import audit_reports
from console.client.audit_reports import MAX_RUNS, READ_AGAIN_S, AuditReports
from console.model.audits import TOPIC, record

from .test_audits import BEGAN, FINDINGS, SUMMARY

PLACE = TopicPartition(TOPIC, 0)


class Topic:
    """The topic, as a consumer sees it; `read` counts the records."""

    def __init__(self) -> None:
        self.values = [record(SUMMARY, FINDINGS, BEGAN + timedelta(days=day), "auditor") for day in range(60)]
        self.begin = self.read = self._position = 0

    async def topics(self) -> set[str]:
        return {TOPIC}

    async def beginning_offsets(self, _places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {PLACE: self.begin}

    async def end_offsets(self, _places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {PLACE: len(self.values)}

    def assign(self, _places: list[TopicPartition]) -> None:
        """Reads nothing yet."""

    def seek(self, _place: TopicPartition, offset: int) -> None:
        self._position = offset

    async def position(self, _place: TopicPartition) -> int:
        return self._position

    async def getmany(self, _place: TopicPartition, *, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        offset = self._position
        self._position, self.read = offset + 1, self.read + 1
        return {PLACE: [SimpleNamespace(offset=offset, value=self.values[offset])]}


@pytest.fixture
def topic() -> Topic:
    return Topic()


@pytest.fixture
def reports(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> AuditReports:
    @asynccontextmanager
    async def reading(_reports: AuditReports) -> AsyncIterator[Any]:
        yield topic

    monkeypatch.setattr(AuditReports, "_reading", reading)
    return AuditReports()


async def test_a_topic_that_has_not_changed_is_not_read_again(topic: Topic, reports: AuditReports) -> None:
    runs = await reports.runs()
    assert [run.number for run in runs] == list(range(59, 9, -1))
    assert await reports.runs() == runs
    assert topic.read == MAX_RUNS
    topic.values.append(record(SUMMARY, [], BEGAN, "auditor"))
    assert (await reports.runs())[0].number == 60
    topic.begin = 20
    assert (await reports.runs())[-1].number == 20


async def test_a_topic_that_was_made_anew_is_read_after_a_while(
    topic: Topic, reports: AuditReports, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(audit_reports, "time", SimpleNamespace(monotonic=lambda: now[0]))
    await reports.runs()
    topic.values = [record(SUMMARY, [], BEGAN, "another") for _ in topic.values]
    now[0] += READ_AGAIN_S
    assert {run.by for run in await reports.runs()} == {"another"}
