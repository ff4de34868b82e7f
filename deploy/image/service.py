"""Runs the service that an image holds: `python -m service serve` is `python -m orderfc serve` in orderfc's image.

An entry point in exec form can't name a build argument; Python itself stays process 1, so that it gets SIGTERM.
"""

import os
import runpy

if __name__ == "__main__":
    runpy.run_module(os.environ["SERVICE"], run_name="__main__", alter_sys=True)
