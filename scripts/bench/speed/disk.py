"""What PostgreSQL and Kafka have on disk. Vacuum and retention give a part of it back later."""

from bench.speed.side import Side

_BLOCK = 512
# Tables and indexes of the four databases; the log of changes, which checkpoints and the archive make room for.
_POSTGRES = "SELECT sum(pg_database_size(datname))::float8 FROM pg_database"
_WAL = "SELECT (pg_current_wal_lsn() - '0/0')::float8"


def disk(side: Side) -> dict[str, float]:
    """Return KiB by name: `postgres_kib`, `wal_kib` and `kafka_kib`."""
    found = {
        "postgres_kib": side.value("orderfc", _POSTGRES),
        "wal_kib": side.value("orderfc", _WAL),
        # Index files are longer than what is in them.
        "kafka_kib": sum(
            path.stat().st_blocks * _BLOCK for path in (side.home / "data" / "kafka").rglob("*") if path.is_file()
        ),
    }
    return {name: size / 1024 for name, size in found.items()}


def per_unit(before: dict[str, float], after: dict[str, float], units: int) -> dict[str, float]:
    """Return how much each has grown for one of so many orders."""
    return {name: (after[name] - size) / units for name, size in before.items()}
