"""Starts the stack of a checkout, in a process with that checkout's packages, and prints its services' environments.

Arguments: the stack's folder, the offset of its ports, its settings as JSON.
"""

import json
import sys
from pathlib import Path

from fc.stack.layout import SERVICES, Layout
from fc.stack.local import Stack


def main() -> None:
    """Start it; the stack outlives this process."""
    home, offset, settings = sys.argv[1:]
    stack = Stack(Layout(Path(home), int(offset)), json.loads(settings), settings={})
    stack.up()
    environments = {name: stack.programs.environment(name) for name in SERVICES}
    sys.stdout.write(json.dumps(environments) + "\n")


if __name__ == "__main__":
    main()
