"""The Kafka edge: producer, topics, consumer and outbox relay."""
