"""The program of the auditor's image: one audit of the stores in the settings, its report to stdout and the console."""

import asyncio
import json
import sys

import structlog

from chassis import logging
from chassis.config.settings import load
from fc.audit.patience import Limits
from fc.audit.publish import publish
from fc.audit.report import Report
from fc.audit.run import run_audit
from fc.audit.settings import Settings
from fc.platform.errors import CouldNotCheck

COULD_NOT_CHECK = 2

log = structlog.get_logger(__name__)


def _print(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


async def _audit(settings: Settings) -> Report:
    stores, limits = settings.stores(), Limits(outbox_days=settings.outbox_keep_days)
    report = await run_audit(stores, limits=limits, on_finding=lambda finding: _print(finding.as_json()))
    await publish(stores, report)
    return report


def _run() -> Report:
    """Run the audit. Raises CouldNotCheck, and SystemExit with a line about the settings."""
    settings = load(Settings)
    logging.setup(settings.service, settings.log_level)
    return asyncio.run(_audit(settings))


def main() -> int:
    """Print one JSON object for each finding, then the totals or what went wrong.

    Returns the exit code, which is that of `fc audit`: nothing but violations is 1, with which the job is not repeated.
    """
    try:
        report = _run()
    except (CouldNotCheck, SystemExit) as error:
        return _failed(str(error))
    except Exception as error:
        log.exception("the audit failed")
        return _failed(f"{type(error).__name__}, see the log")
    _print({"summary": report.summary()})
    return report.exit_code


def _failed(reason: str) -> int:
    _print({"summary": {"error": reason, "exit_code": COULD_NOT_CHECK}})
    return COULD_NOT_CHECK


if __name__ == "__main__":
    sys.exit(main())
