"""Runs productfc: `python -m productfc serve`, and the other commands that `chassis.service` lists."""

from chassis.service import run_cli
from productfc.app import SERVICE

if __name__ == "__main__":
    run_cli(SERVICE)
