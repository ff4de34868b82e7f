"""`make observe`: builds the log store and the collector, and gets Prometheus, for `fc up --observe`."""

import shutil
import sys
import time

from servers import collector, prometheus, victorialogs
from servers.base import Missing
from servers.golang import Program


def main() -> None:
    """Build what is not there yet. Exits with one line that says what is missing."""
    try:
        for program in (victorialogs.PROGRAM, collector.program()):
            _build(program)
        sys.stdout.write(f"{prometheus.program('prometheus')}\n")
    except Missing as missing:
        sys.exit(f"observe: {missing}")


def _build(program: Program) -> None:
    if not program.is_built and shutil.which("go"):
        sys.stdout.write(f"Building {program.name} by Go (only the first time; minutes, at low priority) ...\n")
        sys.stdout.flush()
    began = time.monotonic()
    path = program.build()
    seconds = time.monotonic() - began
    sys.stdout.write(f"{path}{f' ({seconds:.0f} s)' if seconds > 1 else ''}\n")


if __name__ == "__main__":
    main()
