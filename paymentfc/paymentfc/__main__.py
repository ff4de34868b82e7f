"""`python -m paymentfc serve|api|worker|migrate|topics`."""

from chassis.service import run_cli
from paymentfc.app import SERVICE

run_cli(SERVICE)
