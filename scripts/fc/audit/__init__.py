"""The consistency auditor of the saga: read only, on a running platform of any size.

It merge-joins the four databases by order id and compares what they say with Kafka, MongoDB and Xendit. `run_audit` is
the way in for tests; `fc.audit.cli` is the command.
"""

from fc.audit.errors import CouldNotCheck
from fc.audit.report import Finding, Report
from fc.audit.run import Limits, run_audit
from fc.audit.sources import Sources

__all__ = ["CouldNotCheck", "Finding", "Limits", "Report", "Sources", "run_audit"]
