"""Redis: the client with its breaker, the shared connection of the reads, time limits."""
