"""The wire: HTTP routes and Kafka messages in, one usecase each."""
