"""The servers of the local stack as ordinary processes: PostgreSQL, Redis, Kafka and MongoDB."""
