"""The program of the auditor's image: one audit of the stores in the settings, its report to stdout and the console."""

import asyncio
import json
import sys

from chassis import logging
from chassis.config.settings import load
from fc.audit.publish import publish
from fc.audit.report import Report
from fc.audit.run import run_audit
from fc.audit.settings import Settings
from fc.platform.errors import CouldNotCheck

COULD_NOT_CHECK = 2


def _print(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


async def _audit(settings: Settings) -> Report:
    stores = settings.stores()
    report = await run_audit(stores, on_finding=lambda finding: _print(finding.as_json()))
    await publish(stores, report)
    return report


def main() -> int:
    """Print one JSON object for each finding, then the totals. Returns the exit code, which is that of `fc audit`."""
    settings = load(Settings)
    logging.setup(settings.service, settings.log_level)
    try:
        report = asyncio.run(_audit(settings))
    except CouldNotCheck as error:
        _print({"summary": {"error": str(error), "exit_code": COULD_NOT_CHECK}})
        return COULD_NOT_CHECK
    _print({"summary": report.summary()})
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main())
