"""Alembic's entry: the chassis runs the migrations of this package's tables."""

from chassis.db.migrations import run_env
from paymentfc.repository.tables import metadata

run_env(metadata)
