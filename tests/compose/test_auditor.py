"""The auditor's container: it signs in with roles that may only read, and its report is on the topic."""

import asyncio
import json

from console.client.audit_reports import AuditReports
from fc.platform.sources import Sources
from tests.compose.kit.platform import Platform


async def test_the_auditor_agrees_with_the_platform_and_its_report_is_kept(platform: Platform) -> None:
    done = await asyncio.to_thread(platform.compose, "run", "--rm", "auditor", ok=False)
    *findings, last = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [each for each in findings if each["level"] == "violation"] == []
    assert last["summary"]["unread"] == {}
    assert last["summary"]["skipped"] == []
    assert done.returncode == 0
    newest, *_ = await AuditReports(**Sources.of_compose().kafka_client()).runs()
    assert newest.summary == last["summary"]
