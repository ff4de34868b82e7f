"""Runs paymentfc: `python -m paymentfc serve`, and the other commands that `chassis.service` lists."""

from chassis.service import run_cli
from paymentfc.app import SERVICE

if __name__ == "__main__":
    run_cli(SERVICE)
