"""The servers of the local stack as ordinary processes: prepare, command, a real readiness check."""
