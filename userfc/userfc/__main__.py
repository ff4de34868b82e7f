"""Runs userfc: `python -m userfc serve`, and the other commands that `chassis.service` lists."""

from chassis.service import run_cli
from userfc.app import SERVICE

if __name__ == "__main__":
    run_cli(SERVICE)
