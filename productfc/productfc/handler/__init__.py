"""The HTTP routes and Kafka handlers of productfc."""
